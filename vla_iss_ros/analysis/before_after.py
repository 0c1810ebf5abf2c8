"""Two analyses side by side: what changed between the recordings."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vla_iss_ros.analysis.bootstrap import MeanInterval, mean_draws, mean_interval
from vla_iss_ros.analysis.frame_table import FrameRow

DRAWS = 2000


@dataclass(frozen=True)
class Change:
    """Mean of one quantity before and after, and the difference after - before with a 95 % interval.

    ``above``: probability that the mean went up, the share of bootstrap pairs where it did. NaN where undefined.
    """

    name: str
    before: MeanInterval
    after: MeanInterval
    difference: float
    low: float
    high: float
    above: float


def compare(before: Sequence[FrameRow], after: Sequence[FrameRow], percent: int, seed: int) -> list[Change]:
    """Return the change of NMR@``percent``, of its chance level, and of every effect's share, in this order.

    The frames are others, so nothing is paired: each side's mean is drawn by the moving-block bootstrap over its own
    episodes, and the difference is that of the draws. It says how means vary with the frames of such recordings, not
    why they differ: another scene has another chance level, which stands beside NMR for that.
    """
    quantities = [f"NMR@{percent}", "chance"]
    quantities += [f"share of {name}" for name in _effects(before, after)]
    generator = np.random.default_rng(seed)
    return [
        _change(name, _series(before, name, percent), _series(after, name, percent), generator)
        for name in quantities
    ]


def different_methods(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what two analyses' settings do not share, as ``name: before, after``; policies may differ on purpose."""
    names = sorted(set(before) | set(after))
    return [
        f"{name}: {before.get(name)}, {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _change(
    name: str, before: list[np.ndarray], after: list[np.ndarray], generator: np.random.Generator
) -> Change:
    first, second = mean_interval(before, generator), mean_interval(after, generator)
    difference = second.value - first.value
    ours, theirs = _draws(before, generator), _draws(after, generator)
    count = min(len(ours), len(theirs))
    if not count:
        return Change(name, first, second, difference, math.nan, math.nan, math.nan)
    apart = theirs[:count] - ours[:count]
    low, high = np.quantile(apart, [0.025, 0.975])
    above = float((apart > 0).mean() + (apart == 0).mean() / 2)
    return Change(name, first, second, difference, float(low), float(high), above)


def _draws(series: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """Return draws of the mean; none where there are too few frames."""
    length = sum(len(each) for each in series)
    block = max(1, round(length ** (1 / 3)))
    if length <= block or not any(np.isfinite(each).any() for each in series):
        return np.empty(0)
    return mean_draws(series, block, DRAWS, generator)


def _series(rows: Sequence[FrameRow], name: str, percent: int) -> list[np.ndarray]:
    """Return one quantity by episode, NaN where a frame has none."""
    episodes: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        episodes.setdefault((row.source, row.episode), []).append(_value(row, name, percent))
    return [np.array(each) for each in episodes.values()]


def _value(row: FrameRow, name: str, percent: int) -> float:
    if name == "chance":
        return row.chance
    if name.startswith("share of "):
        effect = row.effects.get(name.removeprefix("share of "))
        return math.nan if effect is None else effect.share
    ratio = row.ratios.get(percent)
    return math.nan if ratio is None else ratio.value


def _effects(before: Sequence[FrameRow], after: Sequence[FrameRow]) -> list[str]:
    """Return the effects that both sides measured, but everything, whose share is 1."""
    names = [name for name in before[0].effects if name in after[0].effects] if before and after else []
    return [name for name in names if name != "everything"]


def draw_changes(changes: Sequence[Change], names: tuple[str, str]) -> bytes:
    """Return a plot of every quantity before and after with its intervals, PNG."""
    shown = [each for each in changes if math.isfinite(each.before.value) or math.isfinite(each.after.value)]
    figure = Figure(figsize=(8, 1.4 + 0.55 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for side, colour, shift in ((0, "#33658a", -0.12), (1, "#b3541e", 0.12)):
        found = [(each.before, each.after)[side] for each in shown]
        values = np.array([each.value for each in found])
        low = np.array([each.low for each in found])
        high = np.array([each.high for each in found])
        errors = np.nan_to_num(np.stack([values - low, high - values])).clip(0)
        places = np.arange(len(shown)) + shift
        axes.errorbar(values, places, xerr=errors, fmt="o", color=colour, capsize=4, label=names[side][-60:])
    axes.set_yticks(range(len(shown)), [each.name for each in shown])
    axes.invert_yaxis()
    axes.set_xlabel("mean over frames, 95 % intervals")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best", fontsize="small")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()
