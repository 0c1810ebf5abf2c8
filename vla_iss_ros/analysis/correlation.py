# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Does NMR go with success? Correlation of the two, with intervals that know what the points share."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from vla_iss_ros.analysis.correlation_points import Points

LEAST = 3
DRAWS = 2000


@dataclass(frozen=True)
class Correlation:
    """One coefficient with its 95 % interval; NaN with a ``reason`` where there is none. ``count``: points used."""

    name: str
    percent: int
    value: float
    low: float
    high: float
    count: int
    reason: str = ""


def correlate(points: Points, seed: int, draws: int = DRAWS) -> list[Correlation]:
    """Return Pearson's r and Spearman's rho of success and NMR@k for every k, with 95 % intervals.

    Points of a task share its difficulty, points of a seed its training: tasks and seeds are drawn with replacement,
    each by itself, and a point counts as often as both (pigeonhole bootstrap, Owen, Annals of Applied Statistics 1,
    2007); without such columns points are drawn. A correlation is no cause, and says nothing of one policy alone.
    """
    found = []
    for percent, nmr in points.nmr.items():
        weights = _weights(points, draws, np.random.default_rng([seed, percent]))
        kept = np.isfinite(nmr)
        for name, ranked in (("pearson", False), ("spearman", True)):
            found.append(_one(name, percent, nmr[kept], points.success[kept], weights[:, kept], ranked))
    return found


def _one(
    name: str, percent: int, nmr: np.ndarray, success: np.ndarray, weights: np.ndarray, ranked: bool
) -> Correlation:
    count = len(nmr)
    if count < LEAST:
        reason = f"needs at least {LEAST} points with a defined NMR, got {count}"
        return Correlation(name, percent, math.nan, math.nan, math.nan, count, reason)
    value = _coefficient(nmr, success, ranked)
    if math.isnan(value):
        what = "NMR" if np.ptp(nmr) == 0 else "success"
        return Correlation(
            name, percent, math.nan, math.nan, math.nan, count, f"{what} is the same everywhere"
        )
    drawn = np.array([_coefficient(np.repeat(nmr, row), np.repeat(success, row), ranked) for row in weights])
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < 0.9 * len(drawn):
        reason = "too few points for an interval: many draws are constant"
        return Correlation(name, percent, value, math.nan, math.nan, count, reason)
    low, high = np.quantile(defined, [0.025, 0.975])
    return Correlation(name, percent, value, float(low), float(high), count)


def _coefficient(first: np.ndarray, second: np.ndarray, ranked: bool) -> float:
    if len(first) < LEAST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    if ranked:
        first, second = stats.rankdata(first), stats.rankdata(second)
    return float(np.corrcoef(first, second)[0, 1])


def _weights(points: Points, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Return how often each draw takes each point, int64 [draws, P]."""
    count = len(points.labels)
    if not points.clusters:
        return generator.multinomial(count, np.full(count, 1 / count), size=draws)
    weights = np.ones((draws, count), np.int64)
    for values in points.clusters.values():
        names, place = np.unique(values, return_inverse=True)
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
        weights *= drawn[:, place]
    return weights


def draw_scatter(points: Points, percent: int, found: Sequence[Correlation]) -> bytes:
    """Return success against NMR@``percent`` with the line of least squares, as the paper draws it, PNG."""
    nmr = points.nmr[percent]
    kept = np.isfinite(nmr)
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    names = points.clusters.get("task") or [label[0] for label in points.labels]
    groups: dict[str, list[int]] = defaultdict(list)
    for index in np.flatnonzero(kept):
        groups[names[index]].append(int(index))
    for name, rows in groups.items():
        label = name if len(groups) <= 10 else None
        axes.scatter(nmr[rows], points.success[rows], s=26, alpha=0.8, label=label)
    if kept.sum() >= LEAST and np.ptp(nmr[kept]) > 0:
        slope, offset = np.polyfit(nmr[kept], points.success[kept], 1)
        ends = np.array([nmr[kept].min(), nmr[kept].max()])
        axes.plot(ends, offset + slope * ends, color="0.2", linewidth=1.5)
    pearson = next(each for each in found if each.percent == percent and each.name == "pearson")
    title = f"r = {pearson.value:.2f} [{pearson.low:.2f}, {pearson.high:.2f}], {pearson.count} points"
    axes.set(xlabel=f"NMR@{percent}", ylabel="success", ylim=(-0.03, 1.03), title=title)
    axes.grid(alpha=0.3)
    if len(groups) <= 10:
        axes.legend(fontsize="small")
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()
