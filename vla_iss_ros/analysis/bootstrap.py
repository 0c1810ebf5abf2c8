"""Interval of a time series' mean by the moving-block bootstrap (Kuensch, Annals of Statistics 17, 1989)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Blocks that are drawn at once: memory stays small however long the series.
MOST_PICKED = 1_000_000


@dataclass(frozen=True)
class MeanInterval:
    """Mean of ``count`` defined values with its interval; NaN with a ``reason`` where there is none.

    ``reason`` may be set beside a finite ``value`` when only the interval is undefined.
    """

    value: float
    low: float
    high: float
    count: int
    reason: str = ""


def mean_interval(
    segments: Sequence[np.ndarray],
    generator: np.random.Generator,
    *,
    block: int | None = None,
    draws: int = 2000,
    level: float = 0.95,
) -> MeanInterval:
    """Return the mean over ``segments``, each float [n] without interruption, with a percentile interval.

    Blocks of ``block`` neighbouring values (by default the cube root of their number, rounded) are drawn with
    replacement. No block reaches from one segment into another; each segment is closed to a circle, so that
    its ends are drawn as often as its middle (Politis and Romano, 1992). NaN values take part in the blocks
    and are left out of the means. The interval says how the mean varies with the choice of frames from
    episodes like these. It does not contain the error of the single values: a noisy map's NMR is drawn
    towards chance, and so is their mean.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    values = np.concatenate([np.asarray(segment, np.float64) for segment in segments] or [np.empty(0)])
    count = int(np.isfinite(values).sum())
    if count == 0:
        return MeanInterval(math.nan, math.nan, math.nan, 0, "no defined value")
    block = max(1, round(len(values) ** (1 / 3))) if block is None else block
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    mean = float(np.nanmean(values))
    if len(values) <= block:
        return MeanInterval(mean, math.nan, math.nan, count, f"fewer than two blocks of {block} frames")
    means = mean_draws(segments, block, draws, generator)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return MeanInterval(mean, float(low), float(high), count)


def mean_draws(
    segments: Sequence[np.ndarray], block: int, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the means of ``draws`` moving-block bootstrap series, float64 [draws]; see :func:`mean_interval`."""
    length = sum(len(segment) for segment in segments)
    blocks = np.concatenate([_blocks(np.asarray(segment, np.float64), block) for segment in segments])
    # The last block is cut so that a series has as many values as there are.
    number = math.ceil(length / block)
    rest = length - (number - 1) * block
    whole, cut = _sums(blocks), _sums(blocks[:, :rest])
    drawn = []
    for done in range(0, draws, batch := max(1, MOST_PICKED // number)):
        picked = generator.integers(len(blocks), size=(min(batch, draws - done), number))
        drawn.append(whole[picked[:, :-1]].sum(axis=1) + cut[picked[:, -1]])
    totals, counts = np.concatenate(drawn).T
    return totals[counts > 0] / counts[counts > 0]


def _sums(blocks: np.ndarray) -> np.ndarray:
    """Return the sum of each block's defined values and their number, float64 [n, 2]."""
    finite = np.isfinite(blocks)
    return np.stack([np.where(finite, blocks, 0).sum(axis=1), finite.sum(axis=1)], axis=1)


def _blocks(segment: np.ndarray, block: int) -> np.ndarray:
    """Return the blocks of one closed segment, float64 [n, block]; those of a shorter one end in NaN."""
    count = len(segment)
    blocks = np.full((count, block), np.nan)
    length = min(block, count)
    blocks[:, :length] = segment[(np.arange(count)[:, None] + np.arange(length)) % max(count, 1)]
    return blocks
