# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The NMR over the last minutes; drawn with OpenCV, for it is redrawn several times a second."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.ticker import MaxNLocator

from vla_iss_ros.render.text import (
    FOREGROUND,
    MUTED,
    Colour,
    blank,
    draw_text,
    number,
    size_for,
    text_line,
    with_interval,
)

Point = tuple[float, float, float, float]

LINE: Colour = (86, 180, 233)
CHANCE: Colour = (230, 159, 0)
GRID: Colour = (58, 62, 72)
BAND_OPACITY = 0.18
# Shorter spans that are shown while the series is still short, s.
SPANS = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
SUBPIXEL = 4  # bits of OpenCV's fixed-point coordinates


def draw_chart(
    series: Sequence[Point],
    chance: float,
    *,
    size: tuple[int, int] = (640, 240),
    span: float = 120.0,
    percent: int = 10,
    now: float | None = None,
    state: str = "",
    elapsed: bool = False,
) -> np.ndarray:
    """Return a chart of at most ``span`` seconds, uint8 [height, width, 3] RGB; ``size``: (width, height).

    ``series``: (seconds, value, low, high) in order of time. NaN in a value leaves a gap in the line, NaN in
    low or high a gap in the band, NaN in ``chance`` no chance line. ``now``: time at the right edge, by
    default the last point's. ``elapsed`` counts time from the left edge instead of
    back from the right. Raises ValueError for a size too small to hold the axes.
    """
    width, height = size
    if width < 160 or height < 90:
        raise ValueError(f"chart must be at least 160 x 90, got {width} x {height}")
    points: np.ndarray = np.array(series, np.float64).reshape(-1, 4)
    end = (points[-1, 0] if len(points) else 0.0) if now is None else now
    points = points[points[:, 0] >= end - span]
    if not elapsed and len(points):
        span = min([span, *(short for short in SPANS if short >= end - points[0, 0])])
    chart = blank(height, width)
    text = min(size_for(width), max(11, height // 14))
    box = _Box(
        left=round(3.2 * text), top=round(2 * text), right=width - text, bottom=height - round(3.4 * text)
    )
    _axes(chart, box, text, span, elapsed)
    x = box.left + (points[:, 0] - (end - span)) / span * (box.right - box.left)
    _band(chart, box, x, points[:, 2], points[:, 3])
    if not math.isnan(chance):
        _chance_line(chart, box, chance)
    _line(chart, box, x, points[:, 1])
    _titles(chart, text, points, chance, percent, state, elapsed)
    return chart


class _Box:
    """The plotting area in px; NMR 0 at the bottom, 1 at the top."""

    def __init__(self, left: int, top: int, right: int, bottom: int):
        self.left, self.top, self.right, self.bottom = left, top, right, bottom

    def y(self, value: np.ndarray | float) -> np.ndarray:
        return self.bottom - np.clip(value, 0, 1) * (self.bottom - self.top)


def _axes(chart: np.ndarray, box: _Box, text: int, span: float, elapsed: bool) -> None:
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = round(float(box.y(value)))
        cv2.line(chart, (box.left, y), (box.right, y), GRID, 1)
        if value in (0.0, 0.5, 1.0):
            draw_text(chart, f"{value:g}", (box.left - text * 0.4, y), text, colour=MUTED, anchor="rm")
    for seconds in MaxNLocator(4).tick_values(0, span):
        if seconds > span:
            continue
        x = round(box.left + (seconds if elapsed else span - seconds) / span * (box.right - box.left))
        cv2.line(chart, (x, box.bottom), (x, box.bottom + 4), MUTED, 1)
        label = f"{seconds:g} s" if elapsed else (f"-{seconds:g} s" if seconds else "now")
        anchor = "ra" if x > box.right - 2 * text else "ma"
        draw_text(
            chart, label, (min(x, box.right), box.bottom + text * 0.4), text, colour=MUTED, anchor=anchor
        )
    cv2.line(chart, (box.left, box.top), (box.left, box.bottom), MUTED, 1)
    cv2.line(chart, (box.left, box.bottom), (box.right, box.bottom), MUTED, 1)


def _titles(
    chart: np.ndarray, text: int, points: np.ndarray, chance: float, percent: int, state: str, elapsed: bool
) -> None:
    last = with_interval(*points[-1, 1:]) if len(points) else "nan"
    title = text_line(
        chart.shape[1],
        f"NMR@{percent} {last}",
        f"chance {number(chance)}",
        text,
        bold=True,
        colour=LINE,
        right_colour=CHANCE,
    )
    meaning = "time in the recording" if elapsed else "time before the last frame"
    below = text_line(chart.shape[1], meaning, state, text, colour=MUTED, right_colour=FOREGROUND)
    chart[: title.shape[0]] = title
    chart[-below.shape[0] :] = below


def _runs(valid: np.ndarray) -> list[slice]:
    """Return the stretches of ``valid`` [n] that are True without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [slice(start, stop) for start, stop in edges.reshape(-1, 2)]


def _fixed_point(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.rint(np.stack([x, y], axis=1) * (1 << SUBPIXEL)).astype(np.int32)[:, None]


def _line(chart: np.ndarray, box: _Box, x: np.ndarray, values: np.ndarray) -> None:
    for run in _runs(np.isfinite(values)):
        points = _fixed_point(x[run], box.y(values[run]))
        cv2.polylines(chart, [points], False, LINE, 2, cv2.LINE_AA, SUBPIXEL)
        if len(points) == 1:  # a line of one point would be invisible
            cv2.circle(
                chart, tuple(int(v) for v in points[0, 0]), 2 << SUBPIXEL, LINE, -1, cv2.LINE_AA, SUBPIXEL
            )


def _band(chart: np.ndarray, box: _Box, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    layer = chart.copy()
    for run in _runs(np.isfinite(low) & np.isfinite(high)):
        if run.stop - run.start == 1:
            ends = _fixed_point(np.repeat(x[run], 2), box.y(np.array([low[run][0], high[run][0]])))
            cv2.polylines(layer, [ends], False, LINE, 3, cv2.LINE_AA, SUBPIXEL)
            continue
        outline = np.concatenate(
            [_fixed_point(x[run], box.y(high[run])), _fixed_point(x[run], box.y(low[run]))[::-1]]
        )
        cv2.fillPoly(layer, [outline], LINE, cv2.LINE_AA, SUBPIXEL)
    cv2.addWeighted(layer, BAND_OPACITY, chart, 1 - BAND_OPACITY, 0, dst=chart)


def _chance_line(chart: np.ndarray, box: _Box, chance: float) -> None:
    y = round(float(box.y(chance)))
    xs = np.arange(box.left, box.right)
    chart[y, xs[(xs - box.left) % 10 < 6]] = CHANCE
