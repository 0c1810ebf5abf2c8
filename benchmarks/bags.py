"""How much of analysing a bag is spent within the policy, and what a second worker brings.

The sample bag with the shipped policy: in this process with one torch thread, then in ``--workers`` processes with one
thread each. Both write every output, loading and starting included. The ratio needs as many free cores as workers.
``--quick`` explains a few frames an episode, where starting weighs most.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from vla_iss_ros import settings
from vla_iss_ros.analysis.bag_analysis import Order, Outcome, analyse
from vla_iss_ros.analysis.engines import Engine, SerialEngine
from vla_iss_ros.analysis.process_engine import ProcessEngine
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.bags.bag_source import BagSource
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.policies.loading import shipped_samples

QUICK_STRIDE = 8


def measure(engine: Engine, stride: int) -> tuple[float, Outcome]:
    """Return the seconds of one analysis of the sample bag, and what it found."""
    source = BagSource.of("metaworld", shipped_samples() / "metaworld", BagTopics(), settings.check({}))
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        outcome = analyse(Order([source], {}, stride=stride), RunDirectory(Path(directory) / "run"), engine)
        return time.perf_counter() - started, outcome


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="explain fewer frames")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    stride = QUICK_STRIDE if options.quick else 1
    one, outcome = measure(SerialEngine(), stride)
    inside = outcome.seconds
    print(f"{outcome.explained} of {outcome.frames} frames explained, {one:.1f} s in one process, of which")
    for stage in ("policy", "explain", "decode", "write"):
        print(f"  {stage}: {inside[stage]:.1f} s")
    print("decode and write run beside the policy; explain holds policy and estimator")
    several, same = measure(ProcessEngine(options.workers), stride)
    assert same.nmr == outcome.nmr, "the engines differ"
    print(f"{several:.1f} s in {options.workers} processes")
    print(
        f"inside forwards: {100 * inside['policy'] / one:.0f} %; {options.workers} workers / 1 = {one / several:.2f}"
    )


if __name__ == "__main__":
    main()
