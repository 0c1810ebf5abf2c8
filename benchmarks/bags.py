"""How much of analysing a bag is spent within the policy, and what a second worker brings.

The sample bag with the shipped policy: in this process with one torch thread, then in ``--workers`` workers of
``--engine`` with one thread each. Both write every output, loading and starting included. ``--quick`` explains a few
frames an episode, where starting and writing weigh most.

The ratio needs as many free cores as workers. What other work left of the cores is printed with it, and the CPU seconds
of both runs. They bound the ratio on free cores: one process takes as long as its main thread computes, and several
take no less than all their CPU seconds spread over as many cores.

One process uses other cores too, for decoding, learning, estimating and writing beside the policy. The full run prints
what the workers bring against one worker of the same engine, which has to be started as they have, and against one
process that is kept to a single core: what another core is worth.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
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


def measure(engine: Engine, stride: int) -> tuple[CpuUse, float, Outcome]:
    """Return what one analysis of the sample bag took, the CPU seconds of this thread, and what it found."""
    source = BagSource.of("metaworld", shipped_samples() / "metaworld", BagTopics(), settings.check({}))
    started = time.thread_time()
    with tempfile.TemporaryDirectory() as directory, CpuUse() as use:
        outcome = analyse(Order([source], {}, stride=stride), RunDirectory(Path(directory) / "run"), engine)
    return use, time.thread_time() - started, outcome


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
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    torch.set_num_threads(1)
    # Workers inherit it: threads of other libraries would wait for each other on few cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    stride = QUICK_STRIDE if options.quick else 1
    if options.core is not None:
        print(measure(SerialEngine(), stride)[0].wall)
        return
    one, computed, outcome = measure(SerialEngine(), stride)
    inside = outcome.seconds
    print(
        f"{outcome.explained} of {outcome.frames} frames explained, {one.wall:.1f} s in one process, of which"
    )
    for stage in ("policy", "explain", "decode", "write"):
        print(f"  {stage}: {inside[stage]:.1f} s")
    print("decode and write run beside the policy; explain holds policy and estimator")
    several, _, same = measure(make_engine(options.engine, workers=options.workers), stride)
    assert same.nmr == outcome.nmr, "the engines differ"
    print(f"{several.wall:.1f} s in {options.workers} workers of engine {options.engine}")
    cores = os.cpu_count() or 1
    print(
        f"CPU seconds: {one.own:.1f} and {several.own:.1f}; other work left {100 * one.share():.0f} % and "
        f"{100 * several.share():.0f} % of {cores} cores"
    )
    print(
        f"on free cores {options.workers} workers / 1 is at most {computed * options.workers / several.own:.2f}"
    )
    if not options.quick:
        worker = measure(make_engine(options.engine, workers=1), stride)[0].wall
        print(
            f"{worker:.1f} s in 1 worker of engine {options.engine}; "
            f"{options.workers} workers / that = {worker / several.wall:.2f}"
        )
        alone = seconds_on_one_core()
        print(
            f"{alone:.1f} s in one process on one core; "
            f"{options.workers} workers / that = {alone / several.wall:.2f}"
        )
    print(
        f"inside forwards: {100 * inside['policy'] / one.wall:.0f} %; "
        f"{options.workers} workers / 1 = {one.wall / several.wall:.2f}"
    )


if __name__ == "__main__":
    main()
