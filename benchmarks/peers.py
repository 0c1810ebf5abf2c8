# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Speed and maps of other ways of doing the same, at the same number of samples.

Every method explains the same frames of the sample bag under the same policy with the same N, in turn, in one process.
"outside" is the time outside of the policy's own forwards; r is the correlation at the camera's size with the reference
map in benchmarks/references (20,000 samples, q = 0.3, donor baseline). captum's methods, RISE and the stitched masks
of the reference manner estimate something else than that map, which the note says: their r tells how alike the maps
are, not how good. captum comes with: scripts/env pip install -r benchmarks/requirements.txt
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
import published
import torch
from reference_maps import QUICK_FRAMES, Bench, Case, cases
from timing import Recorder
from torch import Tensor
from torch.nn import functional

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.interventions import Donor

try:
    import attribution
except ImportError:
    attribution = None

KEEP = settings.BY_NAME["keep_probability"].default
ROWS = 32
OURS = "vla_iss_ros, default"
REFERENCE = "reference manner, batches"

# Takes a policy that times itself, the number of samples and a seed; returns the work, which returns maps [V, H, W].
Method = Callable[[Recorder, int, int], Callable[[], np.ndarray]]


@dataclass
class Row:
    """What was measured of one method."""

    note: str
    total: list[float] = field(default_factory=list)
    outside: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    agreement: list[float] = field(default_factory=list)


def at_camera_size(cells: Sequence[Tensor] | np.ndarray, case: Case) -> np.ndarray:
    """Return maps of cells [V, rows, columns] upsampled as ours are, [V, H, W]."""
    size = next(iter(case.observation.images.values())).shape[:2]
    grids = torch.stack([torch.as_tensor(each, dtype=torch.float32) for each in cells])[None]
    return functional.interpolate(grids, size=size, mode="bilinear", align_corners=False)[0].numpy()


def ours(case: Case, **values: object) -> Method:
    """Return the package's own loop; like a node, it has prepared its donors before the frame comes."""

    def start(policy: Recorder, samples: int, seed: int) -> Callable[[], np.ndarray]:
        chosen = settings.check({"effects": False, "samples": samples, "seed": seed, **values})
        explainer = Explainer(policy, chosen, case.donors)

        def work() -> np.ndarray:
            explanation = explainer.explain(case.observation)
            cells = explanation.cells.by_view(explanation.estimate.contrast)
            return at_camera_size(list(cells.values()), case)

        return work

    return start


def methods(case: Case) -> dict[str, tuple[str, Method]]:
    """Return name to note and method; the donors are those that our own baseline chooses."""
    same = [donor for donor in case.donors if donor.instruction == case.observation.instruction]
    donors = same if len(same) >= Donor.ENOUGH else case.donors
    frame = case.observation
    found: dict[str, tuple[str, Method]] = {
        OURS: (f"{settings.BY_NAME['estimator'].default}, balanced masks", ours(case)),
        "vla_iss_ros, the paper's": (
            "horvitz_thompson, independent masks",
            ours(case, estimator="horvitz_thompson", design="bernoulli"),
        ),
    }
    for name, batch in ((REFERENCE, ROWS), ("reference manner, one by one", 1)):
        found[name] = (
            "masks stitched over the views, else the same estimand",
            lambda policy, samples, seed, batch=batch: partial(
                published.reference_manner, policy, frame, donors, samples, seed, KEEP, batch
            ),
        )
    found["RISE"] = (
        "another estimand: keeps 0.5, black beneath, grid shifted",
        lambda policy, samples, seed: partial(published.rise, policy, frame, samples, seed, ROWS),
    )
    if attribution is None:
        return found
    found["captum FeatureAblation"] = (
        "another estimand: one cell at a time, one donor, hard edges; N is the number of cells",
        lambda policy, samples, seed: (
            lambda: at_camera_size(
                attribution.feature_ablation(policy, frame, donors[seed % len(donors)], ROWS), case
            )
        ),
    )
    found["captum KernelShap"] = (
        "another estimand: Shapley values, one donor, hard edges",
        lambda policy, samples, seed: (
            lambda: at_camera_size(
                attribution.kernel_shap(policy, frame, donors[seed % len(donors)], samples, seed, ROWS), case
            )
        ),
    )
    return found


def measure(samples: int, repetitions: int) -> dict[str, Row]:
    """Run every method on every frame in turn; the first turn is a warm-up."""
    found: dict[str, Row] = {}
    chosen = [(case, methods(case), reference_maps(case)) for case in cases(QUICK_FRAMES)]
    for seed in range(repetitions + 1):
        for case, each, reference in chosen:
            for name, (note, method) in each.items():
                policy = Recorder(case.policy)
                work = method(policy, samples, seed)
                policy.seconds, policy.rows = 0.0, 0
                started = time.perf_counter()
                maps = work()
                total = time.perf_counter() - started
                if seed == 0:
                    continue
                row = found.setdefault(name, Row(note))
                row.total.append(total)
                row.outside.append(total - policy.seconds)
                row.rows.append(policy.rows)
                row.agreement.append(float(np.corrcoef(maps.ravel(), reference.ravel())[0, 1]))
    return found


def reference_maps(case: Case) -> np.ndarray:
    """Return the committed reference map of a frame, [V, H, W]."""
    bench = Bench(case, round(1 - KEEP, 3))
    return at_camera_size(list(bench.cells.by_view(bench.reference).values()), case)


def show(found: dict[str, Row], samples: int, repetitions: int) -> None:
    """Print the table and the line that counts."""
    base = found[OURS]
    print(f"N = {samples}, {len(QUICK_FRAMES)} frames, {repetitions} repetitions: medians, r is a mean")
    print(f"{'':30}{'rows':>6}{'total s':>9}{'outside s':>11}{'total':>8}{'outside':>9}{'r':>7}")
    print(f"{'':56}{'against ours':>17}")
    for name, row in found.items():
        # Of pairs: what slows the machine down for a while slows both.
        totals = statistics.median(a / b for a, b in zip(row.total, base.total, strict=True))
        outside = statistics.median(a / b for a, b in zip(row.outside, base.outside, strict=True))
        print(
            f"{name:30}{statistics.median(row.rows):6.0f}{statistics.median(row.total):9.3f}"
            f"{statistics.median(row.outside):11.4f}{totals:8.2f}{outside:9.2f}{np.mean(row.agreement):7.2f}"
        )
    print("notes")
    for name, row in found.items():
        print(f"  {name}: {row.note}")
    if attribution is None:
        print("captum is not installed and left out: scripts/env pip install -r benchmarks/requirements.txt")
    ratio = statistics.median(a / b for a, b in zip(found[REFERENCE].outside, base.outside, strict=True))
    print(f"peers: outside of the policy, reference manner / ours = {ratio:.1f}")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two repetitions")
    parser.add_argument("--samples", type=int, default=128, help="N (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of every library (default: %(default)s)"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    if attribution is not None:
        attribution.limit_threads(options.threads)
    repetitions = 2 if options.quick else 10
    with torch.inference_mode():
        show(measure(options.samples, repetitions), options.samples, repetitions)


if __name__ == "__main__":
    main()
