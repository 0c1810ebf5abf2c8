# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Rank policies by their NMR over the same frames."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vla_iss_ros.analysis.bootstrap import DrawnMeans, MeanInterval
from vla_iss_ros.analysis.frame_columns import FrameColumns, split_by
from vla_iss_ros.analysis.frame_table import FrameRow


@dataclass(frozen=True)
class Paired:
    """How another policy compares on the same frames, the same ones drawn for both.

    ``difference``: mean of its NMR minus this one's, with its interval. ``below``: probability that this one is below
    it, the share of bootstrap series where it is. NaN where there are too few frames.
    """

    difference: MeanInterval
    below: float


NOTHING = Paired(MeanInterval(math.nan, math.nan, math.nan, 0, "the last one"), math.nan)


@dataclass(frozen=True)
class Ranked:
    """One policy's place. ``nmr``: mean over the common frames. ``chance``: the nuisance area's share.

    ``difference``, ``below``: of the next policy, as of :class:`Paired`, NaN for the last one. ``seconds``: within the
    policy, an explained frame. ``others``: every other policy.
    """

    policy: str
    nmr: MeanInterval
    chance: float
    difference: MeanInterval
    below: float
    seconds: float
    others: Mapping[str, Paired] = field(default_factory=dict)


def rank(runs: Mapping[str, Sequence[FrameRow]], percent: int, seed: int) -> list[Ranked]:
    """Return the policies of ``runs`` (rows by policy), lowest NMR@``percent`` first.

    Only frames that every policy explained, with an NMR, count, so that all are judged on the same ones. Raises
    ValueError when there is no such frame, saying why. The intervals say how means vary with the episodes and their
    frames. They do not hold the drift of noisy maps towards chance, which is common to all where N is equal.
    """
    common = _Common()
    for rows in runs.values():
        common.add(FrameColumns.of(rows, percent, effects=False))
    if not common.values.size:
        raise ValueError(
            f"no frame has an NMR under every policy: {'; '.join(sorted(common.reasons)) or 'none in common'}"
        )
    drawn = DrawnMeans.of(split_by(common.episode, common.values), np.random.default_rng(seed))
    policies = list(runs)
    order = sorted(range(len(policies)), key=lambda place: float(drawn.values[place]))
    ranked = []
    for which, following in zip(order, [*order[1:], None], strict=True):
        others = {
            policies[other]: Paired(drawn.difference(other, which), drawn.above(other, which))
            for other in order
            if other != which
        }
        after = NOTHING if following is None else others[policies[following]]
        nmr, seconds = drawn.interval(which), common.seconds[which]
        policy = policies[which]
        ranked.append(Ranked(policy, nmr, common.chance, after.difference, after.below, seconds, others))
    return ranked


class _Common:
    """The frames that all policies have explained with an NMR; ``values`` float64 [frames, policies]."""

    def __init__(self) -> None:
        self.values = np.empty((0, 0))
        self.episode = np.empty(0, np.int32)
        self.seconds: list[float] = []
        self.reasons: Counter[str] = Counter()
        self._chance = np.empty(0)
        self._keys: np.ndarray = np.empty((0, 2), np.int64)
        self._sources: dict[str, int] = {}

    def add(self, columns: FrameColumns) -> None:
        """Take in the next policy's frames."""
        self.reasons.update(columns.reasons)
        spent = columns.spent[columns.explained & np.isfinite(columns.spent)]
        self.seconds.append(float(spent.mean()) if len(spent) else math.nan)
        places = columns.judged[np.isfinite(columns.value[columns.judged])]
        sources = [self._sources.setdefault(name, len(self._sources)) for name in columns.sources]
        numbers = np.array(sources, np.int64)[columns.source[places]]
        keys = np.stack([numbers, columns.stamp[places]], axis=1)
        values = columns.value[places][:, None]
        if len(self.seconds) == 1:
            self._keys, self.values = keys, values
            self.episode, self._chance = columns.episode[places], columns.chance[places]
            return
        mine, theirs = _shared(self._keys, keys)
        self._keys, self.episode, self._chance = self._keys[mine], self.episode[mine], self._chance[mine]
        self.values = np.concatenate([self.values[mine], values[theirs]], axis=1)

    @property
    def chance(self) -> float:
        """The mean chance level, that of the first policy's frames."""
        return float(self._chance.mean())


def _shared(mine: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of equal rows in two arrays, int64 [n, 2] and [m, 2], in the order of the first one."""
    # Numbers in place of pairs: a sort of single integers is some ten times as fast.
    stamps = np.unique(np.concatenate([mine[:, 1], theirs[:, 1]]))
    first, second = (
        each[:, 0] * len(stamps) + np.searchsorted(stamps, each[:, 1]) for each in (mine, theirs)
    )
    _, left, right = np.intersect1d(first, second, return_indices=True)
    order = np.argsort(left)
    return left[order], right[order]


def draw_ranking(ranked: Sequence[Ranked], percent: int) -> bytes:
    """Return a plot of the policies as PNG bytes, best on top.

    Left: NMR with intervals, each policy for itself, and chance. Right: how much higher than the best one each is on
    the same frames, with the paired interval, which is the one to tell policies apart by.
    """
    figure = Figure(figsize=(11, 1.4 + 0.5 * len(ranked)), layout="constrained")
    means, apart = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    places = range(len(ranked))
    _draw_intervals(means, [each.nmr for each in ranked], places)
    means.axvline(ranked[0].chance, linestyle="--", color="#33658a", label="chance")
    means.set_yticks(list(places), [each.policy[-60:] for each in ranked])
    means.invert_yaxis()
    means.set_xlim(0, 1)
    means.set_xlabel(
        f"NMR@{percent} over {ranked[0].nmr.count} common frames,\n95 % intervals, each for itself"
    )
    means.legend(loc="lower right")
    others = [ranked[0].others[each.policy].difference for each in ranked[1:]]
    _draw_intervals(apart, others, places[1:])
    apart.axvline(0, color="#5d6b7c", linewidth=1)
    apart.set_xlabel("higher than the best one by,\n95 % intervals, same frames")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def _draw_intervals(axes: Axes, means: Sequence[MeanInterval], places: Sequence[int]) -> None:
    """Draw each mean with its interval, where there is one, at its place on the vertical axis."""
    values = np.array([each.value for each in means])
    ends = np.array([(each.low, each.high) for each in means]).reshape(-1, 2)
    errors = np.nan_to_num(np.stack([values - ends[:, 0], ends[:, 1] - values])).clip(0)
    axes.errorbar(values, list(places), xerr=errors, fmt="o", color="#b3541e", capsize=4)
