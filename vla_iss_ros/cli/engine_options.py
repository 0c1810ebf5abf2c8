# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Options that say who does the work."""

from __future__ import annotations

import argparse
from typing import Any

from vla_iss_ros.analysis.engines import REGISTRY, Engine, make_engine

DEFAULT_WORKERS = 2


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--engine``, ``--workers``, ``--gpus-per-worker`` and ``--ray-address``."""
    parser.add_argument(
        "--engine",
        default="serial",
        choices=tuple(REGISTRY),
        help="serial: in this process; processes: several of them; ray: workers of a Ray cluster (%(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help=f"of engines processes and ray ({DEFAULT_WORKERS})"
    )
    parser.add_argument(
        "--gpus-per-worker",
        type=float,
        metavar="X",
        help="GPUs that a worker of engine ray reserves, such as 0.5 (1 where there are any)",
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="running Ray cluster to join, HOST:PORT or auto (default: one on this computer alone, for this run)",
    )


def chosen_engine(options: argparse.Namespace) -> Engine:
    """Return the engine that the options choose; raises ValueError for an option that it cannot use."""
    given: dict[str, Any] = {
        "workers": options.workers,
        "gpus": options.gpus_per_worker,
        "address": options.ray_address,
    }
    given = {name: value for name, value in given.items() if value is not None}
    known = {"serial": set(), "processes": {"workers"}, "ray": set(given)}[options.engine]
    for name, option in (
        ("workers", "--workers"),
        ("gpus", "--gpus-per-worker"),
        ("address", "--ray-address"),
    ):
        if name in given and name not in known:
            raise ValueError(
                f"{option} {given[name]} is not for engine {options.engine}; name another --engine"
            )
    if options.engine != "serial":
        given.setdefault("workers", DEFAULT_WORKERS)
    return make_engine(options.engine, **given)
