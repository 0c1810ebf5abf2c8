# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether the intervals of the default estimator cover what many samples converge to.

Explanations are those of the package's loop, with its blocks, seeds and stopping rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from reference_maps import Bench, Case, correlation

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.explanation import Explanation


@dataclass
class Coverage:
    """Shares of intervals that hold the converged value, and what they look like."""

    cells: list[float] = field(default_factory=list)
    large_cells: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    agreement: list[float] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    stopped: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, bench: Bench, result: Explanation) -> None:
        """Judge one explanation; a reference's own standard error is added to the estimate's."""
        reference, estimate, ratio = bench.reference, result.estimate, result.ratios[10]
        spread = (estimate.standard_error.square() + bench.reference_error.square()).sqrt()
        inside = (estimate.contrast - reference).abs() <= 1.96 * spread
        large = reference.abs() > 0.1 * reference.abs().max()
        converged = bench.nmr(reference)
        self.cells.append(float(inside.double().mean()))
        self.large_cells.append(float(inside[large].double().mean()))
        self.ratios.append(float(ratio.low <= converged <= ratio.high))
        self.widths.append(ratio.high - ratio.low)
        self.errors.append(abs(ratio.value - converged))
        self.agreement.append(correlation(estimate.contrast, reference))
        self.samples.append(result.samples)
        self.stopped.append(result.stop_reason != "samples")
        self.seconds.append(sum(result.seconds.values()))

    def mean(self, name: str) -> float:
        """Return the mean of one of the lists."""
        return float(np.mean(getattr(self, name)))


def measure(chosen: Sequence[Case], probability: float, repetitions: int, **values: object) -> Coverage:
    """Explain every frame under every seed with settings ``values`` over the defaults."""
    coverage = Coverage()
    for bench, result in explanations(chosen, probability, repetitions, **values):
        coverage.add(bench, result)
    return coverage


def explanations(
    chosen: Sequence[Case], probability: float, repetitions: int, **values: object
) -> Iterator[tuple[Bench, Explanation]]:
    """Yield every frame's explanation under every seed."""
    for case in chosen:
        bench = Bench(case, probability)
        for seed in range(1, repetitions + 1):
            checked = settings.check(
                {"effects": False, "keep_probability": round(1 - probability, 3), "seed": seed, **values}
            )
            yield bench, Explainer(case.policy, checked, case.donors).explain(case.observation, case.regions)
