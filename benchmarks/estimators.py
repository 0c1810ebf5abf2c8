# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How many policy runs an estimator needs for a map that can be trusted, and whether its intervals hold.

For frames of the sample bag a reference map is made of 20,000 balanced samples (hajek) and kept under the policy's
hash. Every estimator then gets N samples of the same policy, and its map is compared with the reference. The last
line compares the package's default with the paper's estimator on independent masks.

Without ``--quick``: all frames, both conventions of the paper's p (0.3 kept, q = 0.7; 0.3 replaced), designs,
calibration, stopping, streams, overhead, memory and peers; docs/estimators.md and its plot are written anew.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import subprocess
import sys
from pathlib import Path

import torch
from convergence import COUNTS, HAJEK, LONG_COUNTS, PAPER, Curves, designs, measure
from reference_maps import FRAMES, QUICK_FRAMES, REFERENCE_SAMPLES, cases

from vla_iss_ros import settings

TARGET, OVERLAP_TARGET = 0.9, 0.7
REPETITIONS = 2
DEFAULT = settings.BY_NAME["estimator"].default
HERE = Path(__file__).parent


def print_curves(curves: Curves) -> None:
    """Print the tables of one probability of replacement, and the line that sums them up."""
    q = curves.probability
    print(f"correlation with the map of {REFERENCE_SAMPLES} samples, q = {q} (keep {1 - q:.1f})")
    _table(curves, "correlation", "7.2f")
    print(f"overlap of the top 10 % of cells, q = {q}")
    _table(curves, "overlap", "7.2f")
    print(f"absolute error of NMR@10, q = {q}")
    _table(curves, "nmr_error", "7.3f")
    place = COUNTS.index(64)
    ours, theirs = (curves.mean("nmr_error", name)[place] for name in (DEFAULT, PAPER))
    print(
        f"NMR@10 error at N = 64: {DEFAULT} {ours:.3f}, {PAPER} {theirs:.3f}, ratio b/a = {theirs / ours:.1f}"
    )
    _sum_up(curves, "overlap", OVERLAP_TARGET, "an overlap of")
    _sum_up(curves, "correlation", TARGET, "r =")


def _table(curves: Curves, name: str, form: str) -> None:
    print(f"{'N':>22}" + "".join(f"{count:>7}" for count in LONG_COUNTS))
    for estimator in curves.names():
        values = "".join(f"{value:{form}}" for value in curves.mean(name, estimator))
        print(f"{estimator:>22}{values}")


def _sum_up(curves: Curves, name: str, target: float, goal: str) -> None:
    ours, hajek, theirs = (curves.needed(name, each, target) for each in (DEFAULT, HAJEK, PAPER))
    for other, count, letter in ((HAJEK, hajek, "c"), (PAPER, theirs, "b")):
        line = f"evaluations to {goal} {target} at q = {curves.probability}: {DEFAULT} {ours:.0f}, {other}"
        if math.isinf(count):
            most = LONG_COUNTS[-1]
            print(f"{line} more than {most}, ratio {letter}/a = {most / ours:.1f} or more")
        else:
            print(f"{line} {count:.0f}, ratio {letter}/a = {count / ours:.1f}")


def print_designs(probability: float, repetitions: int) -> None:
    """Print how much the design of the masks matters to the default estimator."""
    print(f"{DEFAULT} by design of the masks, q = {probability}: correlation at N = 64, 128")
    for design, (few, many) in designs(cases(FRAMES), probability, DEFAULT, repetitions).items():
        print(f"{design:>12} {few:.3f} {many:.3f}")


def print_calibration(probability: float, repetitions: int) -> None:
    """Print the coverage of the default estimator's 95 % intervals."""
    import calibration

    chosen = cases(FRAMES)
    print(
        f"coverage of {DEFAULT}'s 95 % intervals, q = {probability}, {len(chosen)} frames x {repetitions} seeds"
    )
    print("           N   cells  large cells  NMR@10  its width  its error      r   mean N  stopped early")
    kinds = [("", {"samples": 32}), ("", {"samples": 100})]
    kinds.append(("half width 0.1", {"samples": 512, "nmr_half_width": 0.1}))
    for name, values in kinds:
        found = calibration.measure(chosen, probability, repetitions, **values)
        shown = [
            found.mean(each) for each in ("cells", "large_cells", "ratios", "widths", "errors", "agreement")
        ]
        print(
            f"{values['samples']:>12}   {shown[0]:.3f}        {shown[1]:.3f}   {shown[2]:.3f}       {shown[3]:.2f}"
            f"      {shown[4]:.3f}  {shown[5]:.2f}     {found.mean('samples'):.0f}  "
            f"{found.mean('stopped'):.2f} {name}"
        )


def print_accuracy(probability: float, repetitions: int) -> None:
    """Print what an explanation of N samples is worth, and how long it takes on one thread of this machine."""
    import calibration

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    chosen = cases(FRAMES)
    print(
        f"explanations by {DEFAULT}, q = {probability}, {len(chosen)} frames x {repetitions} seeds, one thread"
    )
    print("       N      r  NMR@10 off by  NMR@10 interval  seconds")
    for samples in COUNTS:
        found = calibration.measure(chosen, probability, repetitions, samples=samples)
        print(
            f"{samples:>8}   {found.mean('agreement'):.2f}          {found.mean('errors'):.3f}       +- "
            f"{found.mean('widths') / 2:.2f}       {found.mean('seconds'):.2f}"
        )
    torch.set_num_threads(threads)


def print_streams(repetitions: int) -> None:
    """Print what carrying samples from frame to frame brings."""
    import streaming

    print(f"16 samples a frame, q = {streaming.PROBABILITY}: correlation with the frame's converged map")
    for name, value in streaming.measure(16, repetitions).items():
        print(f"{name:>34} {value:.2f}")


def print_other(script: str) -> None:
    """Print what another benchmark prints; a process of its own keeps its memory and threads apart."""
    command = [sys.executable, str(HERE / script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    print(done.stdout.rstrip() if done.returncode == 0 else f"{script} failed: {done.stderr.strip()[-300:]}")


class Tee(io.StringIO):
    """Keeps what is printed, and prints it."""

    def write(self, text: str) -> int:
        """Take in and pass on."""
        assert sys.__stdout__ is not None
        sys.__stdout__.write(text)
        sys.__stdout__.flush()
        return super().write(text)


def run_all() -> None:
    """Measure everything, print it and write the document."""
    import report

    parts: dict[str, str] = {}

    @contextlib.contextmanager
    def part(name: str):
        kept = Tee()
        with contextlib.redirect_stdout(kept):
            yield
        parts[name] = kept.getvalue().rstrip()

    with part("accuracy"):
        print_accuracy(0.3, 5)
    with part("overhead"):
        print_other("overhead.py")
    with part("peers"):
        print_other("peers.py")
    with part("calibration"):
        for probability in (0.3, 0.7):
            print_calibration(probability, 12)
    with part("streams"):
        print_streams(4)
    with part("designs"):
        for probability in (0.3, 0.7):
            print_designs(probability, 3)
    found = []
    for name, probability in (("replaced", 0.3), ("kept", 0.7)):
        with part(name):
            found.append(measure(cases(FRAMES), probability, REPETITIONS))
            print_curves(found[-1])
    report.write(HERE.parent / "docs", found, parts, REPETITIONS)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two frames, one repetition, one probability")
    parser.add_argument(
        "--probability", type=float, help="probability of replacement q, with --quick; 0.7 is the paper's"
    )
    options = parser.parse_args()
    with torch.inference_mode():
        if options.quick or options.probability:
            probability = options.probability or 0.7
            print_curves(measure(cases(QUICK_FRAMES), probability, repetitions=1))
        else:
            run_all()


if __name__ == "__main__":
    main()
