# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the report of a run shows, computed from its columns: means, episodes, the worst frames, the timeline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vla_iss_ros.analysis.bootstrap import MeanInterval, mean_interval
from vla_iss_ros.analysis.frame_columns import FrameColumns, split_by

MOST_POINTS = 1500
# Beyond this many their lines would be all there is to see.
MOST_SEPARATED = 50
WORST = 6
# Frames this near (s) show the same moment.
APART = 1.0


@dataclass(frozen=True)
class EffectMean:
    """Mean share of a modality's effect over ``frames`` explained ones, NaN with a ``reason``."""

    name: str
    share: float
    delta: float
    frames: int
    reason: str = ""


@dataclass(frozen=True)
class EpisodeValues:
    """An episode of ``frames`` frames. ``values``: NMR of the explained ones, float64 [n]; ``chance``: their mean."""

    name: str
    instruction: str
    frames: int
    values: np.ndarray
    chance: float

    @property
    def mean(self) -> float:
        """The mean NMR, NaN without any."""
        return mean(self.values)

    def interval(self, seed: int) -> MeanInterval:
        """Return the mean NMR with an interval over the frames of this episode alone."""
        return mean_interval([self.values], np.random.default_rng(seed))


def mean_ratio(columns: FrameColumns, seed: int) -> MeanInterval:
    """Return the mean NMR over the explained frames with its bootstrap interval.

    An interpolated frame adds nothing that the explained ones do not tell, and would pass for an independent one.
    """
    return mean_interval(columns.by_episode(columns.value), np.random.default_rng(seed))


def mean_chance(columns: FrameColumns) -> float:
    """Return the mean chance level over the explained frames, NaN without any."""
    return mean(columns.chance[columns.judged])


def mean_effects(columns: FrameColumns) -> list[EffectMean]:
    """Return the mean effect of every modality but everything, over the explained frames, in the table's order."""
    found = []
    for name, effect in columns.effects.items():
        if name == "everything":
            continue
        share, delta = effect.share[columns.judged], effect.delta[columns.judged]
        frames = int(np.isfinite(share).sum())
        if frames or effect.reason or np.isfinite(delta).any():
            found.append(EffectMean(name, mean(share), mean(delta), frames, "" if frames else effect.reason))
    return found


def episode_values(columns: FrameColumns) -> Iterator[EpisodeValues]:
    """Yield every episode in the table's order."""
    frames = np.bincount(columns.episode, minlength=len(columns.episodes))
    explained = np.unique(columns.episode[columns.judged]).tolist()
    parts = columns.by_episode(np.stack([columns.value, columns.chance], axis=1))
    found = dict(zip(explained, parts, strict=True))
    for place, (_, name) in enumerate(columns.episodes):
        part = found.get(place, np.empty((0, 2)))
        instruction = columns.instructions[place]
        yield EpisodeValues(name, instruction, int(frames[place]), part[:, 0], mean(part[:, 1]))


def worst_frames(columns: FrameColumns) -> list[int]:
    """Return the places of the explained frames with the highest NMR, at least a second apart, worst first.

    Without any NMR: of explained frames spread over the table.
    """
    defined = np.flatnonzero(columns.explained & np.isfinite(columns.value))
    chosen: list[int] = []
    for place in defined[np.argsort(-columns.value[defined], kind="stable")]:
        same = columns.source[chosen] == columns.source[place]
        if not np.any(same & (np.abs(columns.seconds[chosen] - columns.seconds[place]) < APART)):
            chosen.append(int(place))
        if len(chosen) == WORST:
            break
    explained = np.flatnonzero(columns.explained)
    return chosen or explained[:: max(1, len(explained) // WORST)][:WORST].tolist()


def timeline(columns: FrameColumns, percent: int, width: int = 1000, height: int = 220) -> str:
    """Return NMR with a band and chance over the frames in order, as SVG.

    Up to MOST_POINTS frames: a point each, and their intervals as the band. More: a point is the mean of some
    neighbours and the band reaches from the least to the greatest NMR among them, so that no frame is lost. Lines
    break where no NMR is defined, and between episodes; only where there are many of both they run on over episodes.
    Up to MOST_SEPARATED episodes are told apart by dotted lines.
    """
    span = max(1, len(columns) - 1)

    def point(place: float, value: float) -> str:
        return f"{40 + (width - 50) * place / span:.1f},{10 + (height - 30) * (1 - value):.1f}"

    step = max(1, math.ceil(len(columns) / MOST_POINTS))
    look = ' class="dense"' if step > 1 else ""
    parts = [
        f'<svg{look} viewBox="0 0 {width} {height}" role="img" aria-label="NMR@{percent} over the frames">'
    ]
    for value in (0, 0.25, 0.5, 0.75, 1):
        y = point(0, value).split(",")[1]
        parts.append(f'<line class="grid" x1="40" x2="{width - 10}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="34" y="{float(y) + 4:.1f}" text-anchor="end">{value:g}</text>')
    separated = len(columns.episodes) <= MOST_SEPARATED
    labels = columns.episode if separated or step == 1 else np.zeros(len(columns), np.int32)
    for number, places in enumerate(split_by(labels, np.arange(len(columns)))):
        if number and separated:
            x = point(places[0] - 0.5, 0).split(",")[0]
            parts.append(f'<line class="episode" x1="{x}" x2="{x}" y1="10" y2="{height - 20}"/>')
        parts += _stretch(_points(columns, places, step), point)
    parts.append("</svg>")
    return "".join(parts)


def _points(columns: FrameColumns, places: np.ndarray, step: int) -> np.ndarray:
    """Return a stretch's place, NMR, bottom and top of the band, and chance, float64 [points, 5]; NaN: undefined."""
    value = columns.value[places]
    if step == 1:
        low, high = columns.low[places], columns.high[places]
        return np.stack([places, value, low, high, columns.chance[places]], axis=1)
    firsts = np.arange(0, len(places), step)
    sizes = np.diff([*firsts, len(places)])
    least = np.fmin.reduceat(value, firsts)
    most = np.fmax.reduceat(value, firsts)
    means = [_bin_means(each, firsts) for each in (value, columns.chance[places])]
    return np.stack([places[firsts] + (sizes - 1) / 2, means[0], least, most, means[1]], axis=1)


def _bin_means(values: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Return the means of the defined ``values`` (float [n]) from each of ``firsts`` to the next one."""
    finite = np.isfinite(values)
    counts = np.add.reduceat(finite.astype(np.float64), firsts)
    with np.errstate(invalid="ignore"):
        return np.add.reduceat(np.where(finite, values, 0), firsts) / counts


def _stretch(points: np.ndarray, point: object) -> list[str]:
    """Return the band and the lines of a stretch of ``_points``, broken where they are undefined."""
    assert callable(point)
    parts = []
    for run in _runs(points, 1):
        # Frames between explained ones have NMR and no interval; the band goes on over them.
        band = run[np.isfinite(run[:, 2]) & np.isfinite(run[:, 3])]
        if len(band) == 1:
            place, low, high = band[0, 0], band[0, 2], band[0, 3]
            (x, y), (_, bottom) = (point(place, each).split(",") for each in (high, low))
            tall = float(bottom) - float(y)
            parts.append(f'<rect class="band" x="{float(x) - 1:.1f}" y="{y}" width="2" height="{tall:.1f}"/>')
        elif len(band):
            edge = [point(each[0], each[3]) for each in band] + [
                point(each[0], each[2]) for each in band[::-1]
            ]
            parts.append(f'<polygon class="band" points="{" ".join(edge)}"/>')
    for name, column in (("chance", 4), ("nmr", 1)):
        for run in _runs(points, column):
            line = [point(each[0], each[column]) for each in run]
            x, y = line[0].split(",")
            alone = f'<circle class="{name}" cx="{x}" cy="{y}" r="2"/>'
            whole = f'<polyline class="{name}" points="{" ".join(line)}"/>'
            parts.append(whole if len(line) > 1 else alone)
    return parts


def _runs(points: np.ndarray, column: int) -> Iterator[np.ndarray]:
    """Yield the stretches of ``points`` where ``column`` is defined."""
    finite = np.isfinite(points[:, column])
    for run, defined in zip(split_by(finite, points), split_by(finite, finite), strict=True):
        if defined[0]:
            yield run


def mean(values: np.ndarray | Sequence[float]) -> float:
    """Return the mean of the values that are defined, NaN without any."""
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    return float(finite.mean()) if len(finite) else math.nan
