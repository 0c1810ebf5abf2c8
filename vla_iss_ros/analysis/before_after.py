# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Two analyses side by side: what changed between the recordings."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vla_iss_ros.analysis.bootstrap import DrawnMeans, MeanInterval, share_above
from vla_iss_ros.analysis.frame_columns import FrameColumns
from vla_iss_ros.analysis.frame_table import FrameRow
from vla_iss_ros.analysis.identity import ADDED, differences
from vla_iss_ros.settings import BY_NAME

# What may differ between the two sides: what is looked at, and by which policy.
MAY_DIFFER = ("policy", "policy hash", "sources", "frames a segment")
# Where the labels of a scene lie says nothing of what they mean.
PLACES_OF_LABELS = ("files", "fingerprint")


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

    Means are over explained frames. The frames of the two sides are others, so nothing is paired: each side's mean is
    drawn from its own episodes and their frames, and the difference is that of the draws. It says how means vary with
    such recordings, not why they differ: another scene has another chance level, which stands beside NMR for that.
    """
    sides = [FrameColumns.of(rows, percent) for rows in (before, after)]
    shared = [name for name in sides[0].effects if name in sides[1].effects and name != "everything"]
    names = [f"NMR@{percent}", "chance", *(f"share of {name}" for name in shared)]
    generator = np.random.default_rng(seed)
    drawn = [DrawnMeans.of(_series(each, shared), generator) for each in sides]
    return [_change(name, drawn[0], drawn[1], place) for place, name in enumerate(names)]


def different_meanings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what makes NMR mean something else in two analyses, from the ``identity`` of their run.json.

    All settings that change a number, donors, stride and what counts as nuisance. Policies and recordings may differ on
    purpose, and so may the files that hold the labels of a scene, but not the cameras that have any.
    """
    return differences(*({**_added(), **_meaning(each)} for each in (before, after)))


def other_labels(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return which files of labels differ between two analyses that both have some, one readable item each."""
    sides = [
        {name: regions.get(name) for name in PLACES_OF_LABELS}
        for each in (before, after)
        if isinstance(regions := each.get("regions"), Mapping)
    ]
    return differences(*sides) if len(sides) == 2 else []


def _added() -> dict[str, Any]:
    return {name: BY_NAME[name].default for name in ADDED}


def _meaning(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an identity that two comparable analyses share."""
    kept = {name: value for name, value in identity.items() if name not in MAY_DIFFER}
    regions = kept.get("regions")
    if isinstance(regions, Mapping):
        described = {name: value for name, value in regions.items() if name not in PLACES_OF_LABELS}
        kept["regions"] = {**described, "cameras": sorted(regions.get("files", {}))}
    return kept


def _series(columns: FrameColumns, effects: Sequence[str]) -> list[np.ndarray]:
    """Return NMR, chance and the shares of ``effects`` of the explained frames, float64 [n, k] an episode."""
    shares = [columns.effects[name].share for name in effects]
    return columns.by_episode(np.stack([columns.value, columns.chance, *shares], axis=1))


def _change(name: str, before: DrawnMeans, after: DrawnMeans, place: int) -> Change:
    first, second = before.interval(place), after.interval(place)
    apart = np.empty(0)
    if math.isfinite(first.low) and math.isfinite(second.low):
        ours, theirs = (each.draws[np.isfinite(each.draws[:, place]), place] for each in (before, after))
        count = min(len(ours), len(theirs))
        apart = theirs[:count] - ours[:count]
    low, high = np.quantile(apart, [0.025, 0.975]) if len(apart) else (math.nan, math.nan)
    return Change(
        name, first, second, second.value - first.value, float(low), float(high), share_above(apart)
    )


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
