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
from pathlib import Path

import numpy as np
import torch
from estimators import correlation
from frames import Case, Recorder, cases, median_ratio, paired, seconds_of

from vla_iss_ros import settings
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.policies.loading import shipped_samples
from vla_iss_ros.regions.label_images import regions_from_labels

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
        results = []

        def explain(explainer=explainer, case=case, results=results) -> None:
            results.append(explainer.explain(case.observation))

        with torch.inference_mode():
            found = paired(explain, recorder.repeat, repetitions)
        times += found
        for (total, _), result in zip(found, results[1:], strict=True):
            inside = result.seconds
            parts["prepare"].append(inside["prepare"])
            parts["estimate"].append(inside["estimate"])
            parts["other"].append(total - sum(inside.values()))
    print(f"explain: {1000 * statistics.median(first for first, _ in times):.1f} ms (median of {len(times)})")
    print(f"forwards: {1000 * statistics.median(second for _, second in times):.1f} ms, {rows} rows in each")
    for name, seconds in parts.items():
        print(f"  {name}: {1000 * statistics.median(seconds):.2f} ms")
    return median_ratio(times)


def measure_regions(chosen: Sequence[Case], repetitions: int) -> None:
    """Print what NMR costs: explain with label images against explain without."""
    stamps = {case.observation.stamp for case in chosen}
    with Bag(shipped_samples() / "metaworld") as bag:
        labelled = {
            each.observation.stamp: each.labels
            for each in iterate_observations(bag)
            if each.observation.stamp in stamps
        }
    times = []
    for case in chosen:
        values = settings.check({"effects": False})
        explainer = Explainer(case.policy, values, case.donors)
        regions: RegionMap = regions_from_labels(
            labelled[case.observation.stamp], values, case.observation.images
        )
        times += paired(
            lambda explainer=explainer, case=case, regions=regions: explainer.explain(
                case.observation, regions
            ),
            lambda explainer=explainer, case=case: explainer.explain(case.observation),
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
    case = cases(quick=True)[0]
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


def measure_resolution(chosen: Sequence[Case]) -> None:
    """Print how maps and times differ between mixing at the camera's size and at the policy's, same seed."""
    correlations, times, repeats = [], [], []
    for case in chosen:
        explainers = {
            (resolution, seed): Explainer(
                case.policy,
                settings.check({"effects": False, "composite_resolution": resolution, "seed": seed}),
                case.donors,
            )
            for resolution, seed in (("policy", 0), ("camera", 0), ("policy", 1))
        }
        maps = {}
        seconds = {}
        for key, explainer in explainers.items():
            explainer.explain(case.observation)
            seconds[key] = seconds_of(
                lambda key=key, explainer=explainer, maps=maps, case=case: maps.update(
                    {key: explainer.explain(case.observation).estimate.contrast}
                )
            )
        correlations.append(correlation(maps["camera", 0], maps["policy", 0]))
        repeats.append(correlation(maps["policy", 1], maps["policy", 0]))
        times.append(seconds["camera", 0] / seconds["policy", 0])
    print(
        f"resolution: maps at the camera's and at the policy's size correlate at {np.mean(correlations):.4f} "
        f"(least {min(correlations):.4f}; {len(chosen)} frames, N = 128, same seed), and two seeds at the policy's "
        f"size at {np.mean(repeats):.4f}; camera / policy = {statistics.median(times):.2f} in time"
    )


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
    chosen = cases(options.quick)
    measure_memory(1000 if options.quick else 10_000)
    if not options.quick:
        measure_resolution(chosen)
    measure_regions(chosen, 4)
    print(f"overhead: explain / forwards = {measure_time(chosen, 8 if options.quick else 12):.2f}")


if __name__ == "__main__":
    main()
