"""What the report of a run shows, computed from its rows: means, episodes, the worst frames, the timeline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_iss_ros.analysis.bootstrap import MeanInterval, mean_interval
from vla_iss_ros.analysis.frame_table import FrameRow

MOST_POINTS = 1500
WORST = 6
# Frames this near show the same moment.
APART = 1.0


@dataclass(frozen=True)
class EffectMean:
    """Mean share of a modality's effect over ``frames`` explained ones, NaN with a ``reason``."""

    name: str
    share: float
    delta: float
    frames: int
    reason: str = ""


def mean_ratio(rows: Sequence[FrameRow], percent: int, seed: int) -> MeanInterval:
    """Return the mean NMR@``percent`` with a moving-block bootstrap interval; episodes are no neighbours."""
    series: dict[str, list[float]] = {}
    for row in rows:
        series.setdefault(row.episode, []).append(row.ratios[percent].value)
    return mean_interval([np.array(values) for values in series.values()], np.random.default_rng(seed))


def mean_effects(rows: Sequence[FrameRow]) -> list[EffectMean]:
    """Return the mean effect of every modality but everything, in the rows' order."""
    explained = [row for row in rows if row.explained]
    names = dict.fromkeys(name for row in explained for name in row.effects if name != "everything")
    found = []
    for name in names:
        figures = [row.effects[name] for row in explained if name in row.effects]
        shares = [each.share for each in figures if not math.isnan(each.share)]
        deltas = [each.delta for each in figures if not math.isnan(each.delta)]
        reason = next((each.reason for each in figures if each.reason), "") if not shares else ""
        found.append(EffectMean(name, mean(shares), mean(deltas), len(shares), reason))
    return found


def worst_frames(rows: Sequence[FrameRow], percent: int) -> list[FrameRow]:
    """Return the explained frames with the highest NMR, at least a second apart, worst first."""
    defined = [row for row in rows if row.explained and not math.isnan(row.ratios[percent].value)]
    chosen: list[FrameRow] = []
    for row in sorted(defined, key=lambda row: -row.ratios[percent].value):
        near = [
            each for each in chosen if each.source == row.source and abs(each.seconds - row.seconds) < APART
        ]
        if not near:
            chosen.append(row)
        if len(chosen) == WORST:
            break
    return chosen or [row for row in rows if row.explained][:: max(1, len(rows) // WORST)][:WORST]


def by_episode(rows: Sequence[FrameRow]) -> dict[str, list[FrameRow]]:
    """Return the rows of every episode, in order."""
    episodes: dict[str, list[FrameRow]] = {}
    for row in rows:
        episodes.setdefault(row.episode, []).append(row)
    return episodes


def timeline(rows: Sequence[FrameRow], percent: int, width: int = 1000, height: int = 220) -> str:
    """Return NMR, its interval and chance over the frames in order, as SVG; one gap between two episodes."""
    step = max(1, math.ceil(len(rows) / MOST_POINTS))
    shown = rows[::step]
    span = max(1, len(shown) - 1)

    def point(place: int, value: float) -> str:
        return f"{40 + (width - 50) * place / span:.1f},{10 + (height - 30) * (1 - value):.1f}"

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="NMR@{percent} over the frames">']
    for value in (0, 0.25, 0.5, 0.75, 1):
        y = point(0, value).split(",")[1]
        parts.append(f'<line class="grid" x1="40" x2="{width - 10}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="34" y="{float(y) + 4:.1f}" text-anchor="end">{value:g}</text>')
    start = 0
    for place in range(1, len(shown) + 1):
        if place < len(shown) and shown[place].episode == shown[start].episode:
            continue
        parts += _stretch(shown[start:place], start, percent, point)
        if place < len(shown):
            x = point(place, 0).split(",")[0]
            parts.append(f'<line class="episode" x1="{x}" x2="{x}" y1="10" y2="{height - 20}"/>')
        start = place
    parts.append("</svg>")
    return "".join(parts)


def _stretch(rows: Sequence[FrameRow], first: int, percent: int, point: object) -> list[str]:
    """Return the band and the lines of one episode."""
    assert callable(point)
    ratios = [(first + place, row.ratios[percent], row.chance) for place, row in enumerate(rows)]
    bands = [(place, each) for place, each, _ in ratios if not math.isnan(each.low)]
    upper = [point(place, each.high) for place, each in bands]
    lower = [point(place, each.low) for place, each in reversed(bands)]
    lines = {
        "chance": [point(place, chance) for place, _, chance in ratios if not math.isnan(chance)],
        "nmr": [point(place, each.value) for place, each, _ in ratios if not math.isnan(each.value)],
    }
    parts = [f'<polygon class="band" points="{" ".join(upper + lower)}"/>'] if bands else []
    return parts + [
        f'<polyline class="{name}" points="{" ".join(each)}"/>' for name, each in lines.items() if each
    ]


def mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are defined, NaN without any."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan
