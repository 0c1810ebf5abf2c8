"""Rank policies by their NMR over the same frames."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from vla_iss_ros.analysis.bootstrap import MeanInterval, mean_draws, mean_interval
from vla_iss_ros.analysis.frame_table import FrameRow

DRAWS = 2000


@dataclass(frozen=True)
class Ranked:
    """One policy's place. ``nmr``: mean over the common frames. ``chance``: the nuisance area's share.

    ``difference``: mean of the next policy's NMR minus this one's on the same frames, with its interval; ``below``:
    probability that this one is below the next, the share of bootstrap series where it is. Both NaN for the last one.
    ``seconds``: within the policy, an explained frame.
    """

    policy: str
    nmr: MeanInterval
    chance: float
    difference: MeanInterval
    below: float
    seconds: float


def rank(runs: Mapping[str, Sequence[FrameRow]], percent: int, seed: int) -> list[Ranked]:
    """Return the policies of ``runs`` (rows by policy), lowest NMR@``percent`` first.

    Only frames where every policy has an NMR count, so that all are judged on the same ones. Raises ValueError when
    there is no such frame, saying why. The intervals say how means vary with the frames of such episodes. They do not
    hold the drift of noisy maps towards chance, which is common to all where N is equal.
    """
    values = {policy: {row.key: row.ratios[percent].value for row in rows} for policy, rows in runs.items()}
    first = next(iter(runs.values()))
    common = [row for row in first if all(_defined(found, row.key) for found in values.values())]
    if not common:
        reasons = sorted({row.reason for rows in runs.values() for row in rows if row.reason})
        raise ValueError(f"no frame has an NMR under every policy: {'; '.join(reasons) or 'none in common'}")
    series = {policy: _by_episode(common, found) for policy, found in values.items()}
    order = sorted(series, key=lambda policy: float(np.concatenate(series[policy]).mean()))
    chance = math.fsum(row.chance for row in common) / len(common)
    ranked = []
    for place, policy in enumerate(order):
        nmr = mean_interval(series[policy], np.random.default_rng(seed))
        difference, below = MeanInterval(math.nan, math.nan, math.nan, 0, "the last one"), math.nan
        if place + 1 < len(order):
            difference, below = _compared(series[order[place + 1]], series[policy], seed)
        ranked.append(Ranked(policy, nmr, chance, difference, below, _seconds(runs[policy])))
    return ranked


def draw_ranking(ranked: Sequence[Ranked], percent: int) -> bytes:
    """Return a plot of the policies' NMR with intervals and chance as PNG bytes, best on top."""
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(ranked)), layout="constrained")
    axes = figure.subplots()
    places = range(len(ranked))
    values = [each.nmr.value for each in ranked]
    errors = [
        [max(0.0, each.nmr.value - each.nmr.low) for each in ranked],
        [max(0.0, each.nmr.high - each.nmr.value) for each in ranked],
    ]
    axes.errorbar(values, places, xerr=errors, fmt="o", color="#b3541e", capsize=4)
    axes.axvline(ranked[0].chance, linestyle="--", color="#33658a", label="chance")
    axes.set_yticks(list(places), [each.policy[-60:] for each in ranked])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"NMR@{percent} over {ranked[0].nmr.count} common frames, 95 % intervals")
    axes.legend(loc="lower right")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def _compared(
    other: Sequence[np.ndarray], mine: Sequence[np.ndarray], seed: int
) -> tuple[MeanInterval, float]:
    """Return the paired mean difference ``other`` - ``mine``, and how often a bootstrap series has it above 0."""
    paired = [theirs - own for theirs, own in zip(other, mine, strict=True)]
    found = mean_interval(paired, np.random.default_rng(seed))
    length = sum(len(each) for each in paired)
    block = max(1, round(length ** (1 / 3)))
    if length <= block:
        return found, math.nan
    draws = mean_draws(paired, block, DRAWS, np.random.default_rng(seed))
    # Equal means say nothing of either.
    return found, float((draws > 0).mean() + (draws == 0).mean() / 2)


def _by_episode(rows: Sequence[FrameRow], values: Mapping[tuple[str, int], float]) -> list[np.ndarray]:
    episodes: dict[str, list[float]] = {}
    for row in rows:
        episodes.setdefault(row.episode, []).append(values[row.key])
    return [np.array(each) for each in episodes.values()]


def _defined(values: Mapping[tuple[str, int], float], key: tuple[str, int]) -> bool:
    return not math.isnan(values.get(key, math.nan))


def _seconds(rows: Sequence[FrameRow]) -> float:
    spent = [row.timings["policy"] for row in rows if row.explained and "policy" in row.timings]
    return math.fsum(spent) / len(spent) if spent else math.nan
