# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``analyze_bag``: explain the frames of recordings, without ROS."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType

from vla_iss_ros.analysis.bag_analysis import Outcome, analyse, counted
from vla_iss_ros.analysis.default_outputs import OPTIONAL, default_sinks
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.cli.analysis_options import add_analysis_options, order_of
from vla_iss_ros.cli.analysis_progress import ShownProgress
from vla_iss_ros.cli.engine_options import add_engine_options, chosen_engine
from vla_iss_ros.render.text import with_interval

PROGRAM = "analyze_bag"
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Return 0; 1 when a recording was skipped; 2 after one line on stderr when nothing could be done; 130 when it was
    interrupted, and can be resumed.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        order = order_of(options, say=lambda line: print(f"{PROGRAM}: {line}", flush=True))
        directory = RunDirectory(options.out)
        with ShownProgress(PROGRAM) as progress:
            outcome = analyse(
                order,
                directory,
                chosen_engine(options),
                restart=options.restart,
                progress=progress,
                sinks=partial(default_sinks, without=options.without),
            )
    except KeyboardInterrupt:
        print(
            f"{PROGRAM}: interrupted; what is finished is in '{options.out}': start it again to go on",
            file=sys.stderr,
        )
        return INTERRUPTED
    except (ValueError, RuntimeError, ImportError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return _conclude(outcome, directory, options, order.settings["nmr_percent"])


def _conclude(outcome: Outcome, directory: RunDirectory, options: argparse.Namespace, percent: int) -> int:
    if outcome.problems:
        print(f"{PROGRAM}: left out or missing: {counted(outcome.problems)}", file=sys.stderr)
    seconds = outcome.seconds
    wall, policy = seconds["wall"], seconds.get("policy", 0.0)
    within = f"{policy / wall:.0%} of it" if options.engine == "serial" else f"{policy:.1f} s of all workers"
    print(
        f"{PROGRAM}: {outcome.explained} of {outcome.frames} frames explained; {wall:.1f} s, "
        f"{within} within the policy"
    )
    nmr = outcome.nmr
    value = with_interval(nmr.value, nmr.low, nmr.high)
    if math.isnan(nmr.value):
        value = f"undefined ({nmr.reason})"
    report = f"report {directory.report}" if outcome.report else "no report"
    print(f"{PROGRAM}: {outcome.frames} frames, NMR@{percent} = {value}, {report}")
    return 1 if outcome.skipped else 0


def interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does, on a signal."""
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Explain every frame of rosbag2 recordings: table, maps, videos, an MCAP bag and a report.",
        epilog="A killed or interrupted run goes on where it stopped when the same command is given again.",
    )
    add_analysis_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory to write")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="go on with what DIR holds of this run (the default)"
    )
    again.add_argument("--restart", action="store_true", help="throw away what DIR holds and begin anew")
    parser.add_argument(
        "--without",
        nargs="+",
        choices=OPTIONAL,
        default=(),
        metavar="OUTPUT",
        help=f"outputs that are not written, of {', '.join(OPTIONAL)}; the same command without it adds them",
    )
    add_engine_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
