# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How fast the maps of every estimator approach the map that many samples converge to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from reference_maps import BLOCK, Bench, Case, correlation, top_overlap

from vla_iss_ros.iss.estimators import REGISTRY

COUNTS = (32, 64, 128, 256, 512, 1024)
LONG_COUNTS = (*COUNTS, 2048, 4096, 8192)
PAPER = "horvitz_thompson"
HAJEK = "hajek, independent"
# Those that enumerate take no count of samples.
SAMPLED = tuple(name for name in REGISTRY if REGISTRY[name].plan is None)
MEASURES = ("correlation", "overlap", "nmr_error")


@dataclass
class Curves:
    """Measures at every count, by estimator: name to one list a run."""

    probability: float
    found: dict[str, dict[str, list[list[float]]]] = field(
        default_factory=lambda: {measure: {} for measure in MEASURES}
    )

    def mean(self, measure: str, name: str) -> list[float]:
        """Return the mean over frames and repetitions."""
        return np.mean(self.found[measure][name], axis=0).tolist()

    def names(self) -> list[str]:
        """Return the estimators, best first at N = 128."""
        return sorted(self.found["correlation"], key=lambda name: -self.mean("correlation", name)[2])

    def needed(self, measure: str, name: str, target: float) -> float:
        """Return the evaluations to reach ``target``, between counts on a log axis; inf if never."""
        curve = self.mean(measure, name)
        for place, value in enumerate(curve):
            if value >= target:
                if place == 0:
                    return float(LONG_COUNTS[0])
                share = (target - curve[place - 1]) / (value - curve[place - 1])
                return float(LONG_COUNTS[place - 1] * (LONG_COUNTS[place] / LONG_COUNTS[place - 1]) ** share)
        return float("inf")


def measure(chosen: Sequence[Case], probability: float, repetitions: int) -> Curves:
    """Run every estimator on samples of every frame: the paper's on independent masks, the others on balanced ones."""
    curves = Curves(probability)
    for case in chosen:
        bench = Bench(case, probability)
        for seed in range(100, 100 + repetitions):
            others = [name for name in SAMPLED if name != PAPER]
            _run(bench, curves, others, "balanced", COUNTS, seed)
            _run(bench, curves, [PAPER, HAJEK], "bernoulli", LONG_COUNTS, seed)
    return curves


def _run(
    bench: Bench, curves: Curves, names: Sequence[str], design: str, counts: Sequence[int], seed: int
) -> None:
    estimators = {name: bench.estimator(name.split(",")[0], design) for name in names}
    rows: Mapping[str, dict[str, list[float]]] = {name: {each: [] for each in MEASURES} for name in names}
    target = bench.nmr(bench.reference)
    judges: Mapping[str, Callable[..., float]] = {
        "correlation": lambda contrast: correlation(contrast, bench.reference),
        "overlap": lambda contrast: top_overlap(contrast, bench.reference),
        "nmr_error": lambda contrast: abs(bench.nmr(contrast) - target),
    }
    for done, block in enumerate(bench.blocks(design, counts[-1], seed), start=1):
        for name, estimator in estimators.items():
            estimator.update(*block)
            if done * BLOCK in counts:
                contrast = estimator.estimate().contrast
                for each, judge in judges.items():
                    rows[name][each].append(judge(contrast))
            if done * BLOCK < counts[-1]:
                estimator.prepare()
    for name, row in rows.items():
        for each, values in row.items():
            curves.found[each].setdefault(name, []).append(values)


def designs(
    chosen: Sequence[Case], probability: float, name: str, repetitions: int
) -> dict[str, list[float]]:
    """Return the correlation of one estimator at N = 64 and 128 by design of the masks."""
    found: dict[str, list[list[float]]] = {}
    for case in chosen:
        bench = Bench(case, probability)
        for design in ("balanced", "sobol", "bernoulli"):
            for seed in range(200, 200 + repetitions):
                estimator, row = bench.estimator(name, design), []
                for done, block in enumerate(bench.blocks(design, 128, seed), start=1):
                    estimator.update(*block)
                    if done * BLOCK in (64, 128):
                        row.append(correlation(estimator.estimate().contrast, bench.reference))
                    estimator.prepare()
                found.setdefault(design, []).append(row)
    return {design: np.mean(rows, axis=0).tolist() for design, rows in found.items()}
