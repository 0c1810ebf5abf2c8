# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What explaining costs beyond the policy's own runs.

``explain`` (N = 128, default settings, effects off) on frames of the sample bag is timed in turn with the same rows of
the same policy in the same batches, run alone. Every figure is a median over repetitions in one process, by default on
one thread, which other work on the machine disturbs least. Peak memory is that of fresh processes which explain one
frame with few and with many samples; the interpreter, torch and the policy are in it. The full run also compares
mixing at the camera's size with mixing at the policy's.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from reference_maps import FRAMES, QUICK_FRAMES, Case, cases, correlation
from timing import Recorder, median_ratio, paired

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.explanation import Explanation

MEGABYTE = 2**20


def measure_time(chosen: Sequence[Case], repetitions: int) -> float:
    """Print where the time goes and return explain / forwards."""
    times, parts = [], {"prepare": [], "estimate": [], "other": []}
    for case in chosen:
        recorder = Recorder(case.policy, keep=True)
        values = settings.check({"effects": False})
        Explainer(recorder, values, case.donors).explain(case.observation)
        rows = recorder.rows
        explainer = Explainer(case.policy, values, case.donors)
        results: list[Explanation] = []
        work = partial(_explain_into, results, explainer, case)
        with torch.inference_mode():
            found = paired(work, recorder.repeat, repetitions)
        times += found
        for (total, _), result in zip(found, results[1:], strict=True):
            inside = {name: result.seconds[name] for name in ("prepare", "estimate", "policy")}
            parts["prepare"].append(inside["prepare"])
            parts["estimate"].append(inside["estimate"])
            parts["other"].append(total - sum(inside.values()))
    print(f"explain: {1000 * statistics.median(first for first, _ in times):.1f} ms (median of {len(times)})")
    print(f"forwards: {1000 * statistics.median(second for _, second in times):.1f} ms, {rows} rows in each")
    for name, seconds in parts.items():
        print(f"  {name}: {1000 * statistics.median(seconds):.2f} ms")
    without = [(pair[0] - spent, pair[1]) for pair, spent in zip(times, parts["estimate"], strict=True)]
    print(f"overhead without the estimate: {median_ratio(without):.2f}")
    return median_ratio(times)


def _explain_into(results: list[Explanation], explainer: Explainer, case: Case) -> None:
    results.append(explainer.explain(case.observation))


def measure_regions(chosen: Sequence[Case], repetitions: int) -> None:
    """Print what NMR costs: explain with label images against explain without."""
    times = []
    for case in chosen:
        explainer = Explainer(case.policy, settings.check({"effects": False}), case.donors)
        times += paired(
            partial(explainer.explain, case.observation, case.regions),
            partial(explainer.explain, case.observation),
            repetitions,
        )
    extra = statistics.median(first - second for first, second in times)
    print(f"regions: NMR from label images adds {1000 * extra:.1f} ms to an explanation")


def peak_memory(samples: int) -> tuple[int, int]:
    """Return the peak resident bytes of a fresh process before and after it explains one frame."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", str(samples)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    before, after = done.stdout.split()[-2:]
    return int(before), int(after)


def explain_in_child(samples: int) -> None:
    """Explain the first frame and print the peak of this process before and after, bytes."""
    case = cases(QUICK_FRAMES)[0]
    explainer = Explainer(case.policy, settings.check({"effects": False, "samples": samples}), case.donors)
    before = peak_of_this_process()
    explainer.explain(case.observation)
    print(before, peak_of_this_process())


def peak_of_this_process() -> int:
    """Return the peak resident bytes; Linux counts in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_memory(many: int) -> None:
    """Print the peaks and their ratio."""
    few = 100
    peaks = {samples: peak_memory(samples) for samples in (few, many)}
    for samples, (before, after) in peaks.items():
        print(
            f"peak memory of the process at N = {samples}: {after / MEGABYTE:.0f} MB, "
            f"{before / MEGABYTE:.0f} MB before the frame"
        )
    print(f"memory: peak at N = {many} / N = {few} = {peaks[many][1] / peaks[few][1]:.2f}")


def measure_resolution(chosen: Sequence[Case], repetitions: int) -> None:
    """Print how maps, NMR and times differ between mixing at the camera's size and at the policy's, same seed.

    How two seeds at the policy's size differ stands beside it: what the samples leave open anyway.
    """
    alike: dict[str, list[float]] = {"camera": [], "seed": []}
    ratios: dict[str, list[float]] = {"camera": [], "seed": []}
    times = []
    for case in chosen:
        policy, camera, seed = (
            Explainer(case.policy, settings.check({"effects": False, **values}), case.donors)
            for values in ({}, {"composite_resolution": "camera"}, {"seed": 1})
        )
        here = policy.explain(case.observation, case.regions)
        for name, explainer in (("camera", camera), ("seed", seed)):
            other = explainer.explain(case.observation, case.regions)
            alike[name].append(correlation(other.estimate.contrast, here.estimate.contrast))
            ratios[name].append(abs(other.ratios[10].value - here.ratios[10].value))
        times += paired(
            partial(camera.explain, case.observation), partial(policy.explain, case.observation), repetitions
        )
    print(f"resolution: {len(chosen)} frames, N = 128, against mixing at the policy's size with seed 0")
    for name, what in (("camera", "at the camera's size, same seed"), ("seed", "same size, another seed")):
        print(
            f"  {what}: maps correlate at {np.mean(alike[name]):.4f} (least {min(alike[name]):.4f}), "
            f"NMR@10 differs by {np.mean(ratios[name]):.4f} (most {max(ratios[name]):.4f})"
        )
    print(f"resolution: explain camera / policy = {median_ratio(times):.2f}")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two frames, few repetitions, less memory to compare"
    )
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        explain_in_child(options.child)
        return
    chosen = cases(QUICK_FRAMES if options.quick else FRAMES)
    measure_memory(1000 if options.quick else 10_000)
    if not options.quick:
        measure_resolution(chosen, 4)
    measure_regions(chosen, 4)
    print(f"overhead: explain / forwards = {measure_time(chosen, 8 if options.quick else 12):.2f}")


if __name__ == "__main__":
    main()
