# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How much of analysing a bag is spent within the policy, and what a second worker brings.

The sample bag with the shipped policy: in this process with one torch thread, then in one and in ``--workers`` workers
of ``--engine`` with one thread each. All write every output, loading and starting included. ``--quick`` explains a few
frames an episode, where starting and writing weigh most.

The ratio needs as many free cores as workers: what other work left of them is printed with it, and the CPU seconds.
The full run takes one worker and several by turns, so that a computer that becomes slower does so for both.

This process uses other cores too, for decoding, learning, estimating and writing beside the policy, and need not be
started. So the full run also prints what the workers bring against it, and against one process that is kept to a single
core: what another core is worth.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from cpu_use import CpuUse

from vla_iss_ros import settings
from vla_iss_ros.analysis.bag_analysis import Order, Outcome, analyse
from vla_iss_ros.analysis.engines import Engine, SerialEngine, make_engine
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.bags.bag_source import BagSource
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.policies.loading import shipped_samples

QUICK_STRIDE = 8


def measure(engine: Engine, stride: int) -> tuple[CpuUse, Outcome]:
    """Return what one analysis of the sample bag took, and what it found."""
    source = BagSource.of("metaworld", shipped_samples() / "metaworld", BagTopics(), settings.check({}))
    with tempfile.TemporaryDirectory() as directory, CpuUse() as use:
        outcome = analyse(Order([source], {}, stride=stride), RunDirectory(Path(directory) / "run"), engine)
    return use, outcome


def seconds_on_one_core() -> float:
    """Return the seconds of the whole bag in a fresh process, all its threads on one core; NaN where that cannot be."""
    if not hasattr(os, "sched_setaffinity"):
        return float("nan")
    core = min(os.sched_getaffinity(0))
    command = [sys.executable, str(Path(__file__).resolve()), "--core", str(core)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="explain fewer frames")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", default="processes", choices=("processes", "ray"))
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)  # for the process that is kept to one
    options = parser.parse_args()
    if options.workers < 2:
        parser.error(f"--workers must be at least 2, got {options.workers}")
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    torch.set_num_threads(1)
    # Workers inherit it: threads of other libraries would wait for each other on few cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    stride = QUICK_STRIDE if options.quick else 1
    if options.core is not None:
        print(measure(SerialEngine(), stride)[0].wall)
        return
    alone, outcome = measure(SerialEngine(), stride)
    inside = outcome.seconds
    print(
        f"{outcome.explained} of {outcome.frames} frames explained, {alone.wall:.1f} s in one process, of which"
    )
    for stage in ("policy", "explain", "decode", "write"):
        print(f"  {stage}: {inside[stage]:.1f} s")
    print("decode and write run beside the policy; explain holds policy and estimator")

    def seconds_in(workers: int) -> float:
        use, same = measure(make_engine(options.engine, workers=workers), stride)
        assert same.nmr == outcome.nmr, "the engines differ"
        print(
            f"{use.wall:.1f} s in {workers} workers of engine {options.engine}; {use.own:.1f} CPU s, "
            f"other work left {100 * use.share():.0f} % of {os.cpu_count() or 1} cores"
        )
        return use.wall

    turns = (options.workers, 1) if options.quick else (options.workers, 1, 1, options.workers)
    seconds = [(workers, seconds_in(workers)) for workers in turns]
    one = statistics.mean(wall for workers, wall in seconds if workers == 1)
    several = statistics.mean(wall for workers, wall in seconds if workers > 1)
    if not options.quick:
        on_one_core = seconds_on_one_core()
        print(f"{on_one_core:.1f} s in one process on one core")
        for name, wall in (("process", alone.wall), ("process on one core", on_one_core)):
            print(f"{options.workers} workers / 1 {name} = {wall / several:.2f}")
    print(
        f"inside forwards: {100 * inside['policy'] / alone.wall:.0f} %; "
        f"{options.workers} workers / 1 = {one / several:.2f}"
    )


if __name__ == "__main__":
    main()
