# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Interval of a mean over frames of episodes: episodes are drawn, and moving blocks of frames within them.

The two stages are those of Davison and Hinkley, Bootstrap Methods and their Application (1997), section 3.8; the blocks
those of Kuensch, Annals of Statistics 17 (1989), around the ends of an episode (Politis and Romano, 1992).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

DRAWS = 2000
# Blocks that are drawn at once: memory stays small however long the series.
MOST_PICKED = 250_000
# With fewer episodes their spread is hardly known: see test_bootstrap for the coverage.
FEW_EPISODES = 8
DRIFT_NOTE = "They do not include the drift of a noisy map's NMR towards chance."


@dataclass(frozen=True)
class MeanInterval:
    """Mean of ``count`` defined values of ``episodes`` with its interval; NaN with a ``reason`` where there is none.

    ``reason`` may be set beside a finite ``value`` when only the interval is undefined.
    """

    value: float
    low: float
    high: float
    count: int
    reason: str = ""
    episodes: int = 0


def mean_interval(
    segments: Sequence[np.ndarray],
    generator: np.random.Generator,
    *,
    block: int | None = None,
    draws: int = DRAWS,
    level: float = 0.95,
) -> MeanInterval:
    """Return the mean over ``segments``, one float [n] an episode, with a percentile interval; see :class:`DrawnMeans`.

    NaN values take part in the blocks and are left out of the means.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    columns = [np.asarray(segment, np.float64)[:, None] for segment in segments]
    return DrawnMeans.of(columns, generator, block=block, draws=draws).interval(0, level)


@dataclass(frozen=True)
class DrawnMeans:
    """Means of k quantities over the same frames, and what they are when other episodes and frames are drawn.

    ``values`` float64 [k]: over the frames that there are; ``counts``, ``episodes`` int [k]: how many frames and
    episodes of them have a value. ``draws`` float64 [draws, k]: as many episodes as there are, with replacement, and
    for each as many frames as it has, in blocks of neighbours; the same for all quantities, so that their differences
    are paired. No rows, with a ``reason``, where nothing can be drawn.

    The interval says how the mean varies with the choice of episodes like these and of their frames. Frames of one
    episode tell nothing of the spread between episodes. Where episodes differ no more than the noise of their frames
    makes them, that noise counts twice, and the interval is wider than need be, by a factor of sqrt(2) at most. It does
    not contain the error of the single values: a noisy map's NMR is drawn towards chance, and so is their mean.
    """

    values: np.ndarray
    counts: np.ndarray
    episodes: np.ndarray
    draws: np.ndarray
    reason: str = ""

    @classmethod
    def of(
        cls,
        segments: Sequence[np.ndarray],
        generator: np.random.Generator,
        *,
        block: int | None = None,
        draws: int = DRAWS,
    ) -> DrawnMeans:
        """Draw from ``segments``, one float [n, k] an episode; one without a defined value is left out.

        ``block``: neighbouring frames that are drawn together; None: the cube root of an episode's number, rounded.
        """
        if block is not None and block < 1:
            raise ValueError(f"block must be at least 1, got {block}")
        kept = [each for each in segments if np.isfinite(each).any()]
        if not kept:
            width = segments[0].shape[1] if segments else 1
            none = np.zeros(width, np.int64)
            return cls(np.full(width, math.nan), none, none, np.empty((0, width)), "no defined value")
        blocks = _Blocks(kept, block)
        counts = np.array([np.isfinite(each).sum(axis=0) for each in kept])
        totals = np.array([np.where(np.isfinite(each), each, 0).sum(axis=0) for each in kept])
        reason, drawn = blocks.refusal(), np.empty((0, counts.shape[1]))
        if not reason:
            drawn = blocks.draw(draws, generator)
        with np.errstate(invalid="ignore"):
            values = totals.sum(axis=0) / counts.sum(axis=0)
        return cls(values, counts.sum(axis=0), (counts > 0).sum(axis=0), drawn, reason)

    def interval(self, place: int, level: float = 0.95) -> MeanInterval:
        """Return the mean of one quantity with its percentile interval."""
        return self._interval(float(self.values[place]), self.draws[:, place], place, level)

    def difference(self, more: int, less: int, level: float = 0.95) -> MeanInterval:
        """Return the mean difference of two quantities that are defined in the same frames, with its interval."""
        value = float(self.values[more] - self.values[less])
        return self._interval(value, self.draws[:, more] - self.draws[:, less], more, level)

    def above(self, more: int, less: int) -> float:
        """Return the probability that quantity ``more`` has the higher mean, NaN where nothing could be drawn."""
        return share_above(self.draws[:, more] - self.draws[:, less])

    def _interval(self, value: float, draws: np.ndarray, place: int, level: float) -> MeanInterval:
        count, episodes = int(self.counts[place]), int(self.episodes[place])
        drawn = draws[np.isfinite(draws)]
        if count < 2 or not len(drawn):
            reason = self.reason or ("a single defined value" if count else "no defined value")
            return MeanInterval(value, math.nan, math.nan, count, reason, episodes)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        return MeanInterval(value, float(low), float(high), count, "", episodes)


def share_above(draws: np.ndarray) -> float:
    """Return the share of ``draws`` (differences, float [n]) above 0, those equal to 0 by half; NaN without any."""
    found = draws[np.isfinite(draws)]
    # Equal means say nothing of either.
    return float((found > 0).mean() + (found == 0).mean() / 2) if len(found) else math.nan


def interval_note(*episodes: int) -> str:
    """Return what readers must know of intervals; ``episodes``: how many each of the means was drawn from."""
    fewest = min(episodes, default=0)
    if fewest < 2:
        said = (
            "Intervals: 95 %, bootstrap over explained frames in blocks of neighbours, of a single episode: "
            "how much another episode would differ is not in them."
        )
    else:
        said = "Intervals: 95 %, bootstrap over explained frames: episodes are drawn, and in them blocks of neighbours."
        if fewest < FEW_EPISODES:
            said += f" Of {fewest} episodes they are too narrow where episodes differ much."
    return f"{said} {DRIFT_NOTE}"


class _Blocks:
    """The blocks of episodes, each float [n, k] closed to a circle, as sums that are looked up by a block's start."""

    def __init__(self, segments: Sequence[np.ndarray], block: int | None) -> None:
        self.lengths = np.array([len(each) for each in segments])
        roots = np.maximum(1, np.round(np.cbrt(self.lengths)).astype(np.int64))
        self.asked = roots if block is None else np.full_like(roots, block)
        self.block = np.minimum(self.asked, self.lengths)
        self.number = -(-self.lengths // self.block)
        # The last block is cut so that an episode has as many values as there are.
        self.rest = self.lengths - (self.number - 1) * self.block
        self.starts = np.cumsum(self.lengths) - self.lengths
        self._values = np.concatenate(segments)
        self._gaps = not bool(np.isfinite(self._values).all())

    def refusal(self) -> str:
        """Return why nothing can be drawn, empty where it can."""
        if len(self.lengths) == 1 and self.lengths[0] <= self.asked[0]:
            return f"fewer than two blocks of {self.asked[0]} frames"
        return ""

    def draw(self, draws: int, generator: np.random.Generator) -> np.ndarray:
        """Return the means of ``draws`` series, float64 [draws, k]; NaN where one has no defined value."""
        found, batch = [], max(1, MOST_PICKED // int(self.number.sum()))
        for done in range(0, draws, batch):
            number = min(batch, draws - done)
            found.append(
                self._series(
                    generator.integers(len(self.lengths), size=(number, len(self.lengths))), generator
                )
            )
        return np.concatenate(found)

    def _series(self, chosen: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return the means of series of ``chosen`` episodes, int [series, episodes], float64 [series, k]."""
        number = self.number[chosen].ravel()
        ends = np.cumsum(number)
        starts, lengths = (np.repeat(each[chosen.ravel()], number) for each in (self.starts, self.lengths))
        picked = starts + (generator.random(len(starts)) * lengths).astype(np.int64)
        whole, cut = self._sums
        sums = whole[picked]
        sums[ends - 1] = cut[picked[ends - 1]]
        firsts = np.concatenate([[0], ends.reshape(len(chosen), -1)[:-1, -1]])
        totals = np.add.reduceat(sums, firsts, axis=0)
        if not self._gaps:
            return totals / self.lengths[chosen].sum(axis=1)[:, None]
        totals, counts = np.split(totals, 2, axis=1)
        with np.errstate(invalid="ignore"):
            return totals / counts

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of the whole and of the cut block from every frame on, float64 [n, k] each.

        Where values are missing, float64 [n, 2 k]: the sums of those that there are, then their numbers.
        """
        values = self._values
        if self._gaps:
            finite = np.isfinite(values)
            values = np.concatenate([np.where(finite, values, 0), finite], axis=1)
        # Behind each episode its first block follows again, which closes the circle.
        order = np.concatenate(
            [
                np.r_[start : start + length, start : start + block]
                for start, length, block in zip(self.starts, self.lengths, self.block, strict=True)
            ]
        )
        running = np.concatenate([np.zeros((1, values.shape[1])), values[order].cumsum(axis=0)])
        shifts = np.cumsum(self.block) - self.block
        place = np.arange(len(values)) + np.repeat(shifts, self.lengths)
        whole, cut = (
            running[place + np.repeat(size, self.lengths)] - running[place]
            for size in (self.block, self.rest)
        )
        return whole, cut
