"""Options that say who does the work."""

from __future__ import annotations

import argparse

from vla_iss_ros.analysis.engines import REGISTRY, Engine, make_engine


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--engine`` and ``--workers``."""
    parser.add_argument(
        "--engine",
        default="serial",
        choices=tuple(REGISTRY),
        help="serial: in this process; processes: several of them (%(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="of engine processes (%(default)s)"
    )


def chosen_engine(options: argparse.Namespace) -> Engine:
    """Return the engine that the options choose; raises ValueError for a bad number of workers."""
    return make_engine(options.engine, **({} if options.engine == "serial" else {"workers": options.workers}))
