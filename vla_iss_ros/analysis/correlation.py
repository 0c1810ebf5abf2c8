"""Does NMR go with success? Correlation of two tables, with intervals that know what the points share."""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

KEYS = ("policy", "task", "seed", "episode", "source")
CLUSTERS = ("task", "seed")
SUCCESS = "success"
LEAST = 3
DRAWS = 2000


@dataclass(frozen=True)
class Points:
    """P pairs of NMR and success. ``keys``: names of what identifies a pair, ``labels``: their values, P of them.

    ``nmr``: k to float64 [P], NaN where it is undefined; ``success`` float64 [P] in [0, 1]. ``unmatched``: keys that
    one table alone has.
    """

    keys: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    nmr: Mapping[int, np.ndarray]
    success: np.ndarray
    unmatched: int


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


def read_points(nmr: Path, success: Path, keys: Sequence[str] = ()) -> Points:
    """Join a table of NMR and a table of success, both CSV, over the columns ``keys``; rows of one key are averaged.

    Without ``keys``, over those of policy, task, seed, episode and source that both tables have. Raises ValueError for
    a missing column, a value that is no number, success outside of [0, 1], and tables that share no key.
    """
    ours, theirs = _table(nmr), _table(success)
    chosen = tuple(keys) or tuple(key for key in KEYS if key in ours[0] and key in theirs[0])
    if not chosen:
        raise ValueError(
            f"'{nmr}' and '{success}' share none of the columns {', '.join(KEYS)}; name some with --keys"
        )
    for path, table in ((nmr, ours), (success, theirs)):
        missing = [key for key in chosen if key not in table[0]]
        if missing:
            raise ValueError(f"'{path}' has no column '{missing[0]}'; it has {', '.join(table[0])}")
    percents = {int(match[1]): name for name in ours[0] if (match := re.fullmatch(r"nmr_(\d+)", name))}
    if not percents:
        raise ValueError(f"'{nmr}' has no column nmr_<k>, such as nmr_10; it has {', '.join(ours[0])}")
    if SUCCESS not in theirs[0]:
        raise ValueError(f"'{success}' has no column '{SUCCESS}'; it has {', '.join(theirs[0])}")
    succeeded = _means(success, theirs, chosen, SUCCESS)
    outside = [value for value in succeeded.values() if not 0 <= value <= 1]
    if outside:
        raise ValueError(f"success in '{success}' must be in [0, 1], got {outside[0]:g}")
    values = {percent: _means(nmr, ours, chosen, name) for percent, name in sorted(percents.items())}
    every = set(next(iter(values.values())))
    labels = tuple(sorted(every & set(succeeded)))
    if not labels:
        raise ValueError(f"no {', '.join(chosen)} of '{nmr}' is in '{success}'; are they named alike?")
    return Points(
        chosen,
        labels,
        {percent: np.array([found[label] for label in labels]) for percent, found in values.items()},
        np.array([succeeded[label] for label in labels]),
        len(every ^ set(succeeded)),
    )


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
    columns = [points.keys.index(name) for name in CLUSTERS if name in points.keys]
    count = len(points.labels)
    if not columns:
        return generator.multinomial(count, np.full(count, 1 / count), size=draws)
    weights = np.ones((draws, count), np.int64)
    for column in columns:
        names, place = np.unique([label[column] for label in points.labels], return_inverse=True)
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
        weights *= drawn[:, place]
    return weights


def draw_scatter(points: Points, percent: int, found: Sequence[Correlation]) -> bytes:
    """Return success against NMR@``percent`` with the line of least squares, as the paper draws it, PNG."""
    nmr = points.nmr[percent]
    kept = np.isfinite(nmr)
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    column = points.keys.index("task") if "task" in points.keys else 0
    groups: dict[str, list[int]] = defaultdict(list)
    for index in np.flatnonzero(kept):
        groups[points.labels[index][column]].append(int(index))
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


def _table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"cannot read '{path}': {error}") from error
    if not rows:
        raise ValueError(f"'{path}' has no rows below its header")
    return rows


def _means(
    path: Path, rows: Sequence[Mapping[str, str]], keys: Sequence[str], column: str
) -> dict[tuple[str, ...], float]:
    """Return the mean of a column's defined values by key; NaN where none is defined."""
    values: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for number, row in enumerate(rows, 2):
        text = (row[column] or "").strip()
        try:
            value = float(text) if text else math.nan
        except ValueError as error:
            raise ValueError(
                f"'{path}', line {number}: {column} must be a number, got '{text[:40]}'"
            ) from error
        values[tuple(str(row[key]) for key in keys)].append(value)
    return {
        key: float(np.mean(defined))
        if (defined := [each for each in found if math.isfinite(each)])
        else math.nan
        for key, found in values.items()
    }
