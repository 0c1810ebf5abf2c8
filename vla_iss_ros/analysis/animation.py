# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Moving pictures that set policies one above the other over the same time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from vla_iss_ros.analysis.comparison import ShownFrame, Style
from vla_iss_ros.analysis.episodes import ExplainedFrame, Summary
from vla_iss_ros.render.chart import Point, draw_chart
from vla_iss_ros.render.pictures import beside, resized, stacked
from vla_iss_ros.render.text import number, text_line, with_interval

# Seconds between two episodes in the chart.
PAUSE = 0.15


def animation(
    policies: Mapping[str, Sequence[ShownFrame]],
    summaries: Mapping[str, Summary],
    cameras: Sequence[str],
    style: Style,
    *,
    most: int = 40,
    tile: int = 176,
) -> list[np.ndarray]:
    """Return frames uint8 [H, W, 3] of an animation: a row a policy of camera | overlays | NMR so far.

    ``most``: frames, spread evenly over the recording. Frames that a policy has no map of show its last one.
    The colour axis is the style's in all frames and stands below.
    """
    legend = style.legend(_animation_width(tile, len(cameras)))
    fullest = max(policies.values(), key=len, default=())
    steps = fullest[:: max(1, math.ceil(len(fullest) / most))]
    pictures = []
    for step in steps:
        rows = []
        for name, frames in policies.items():
            seen = [frame for frame in frames if frame.explained.stamp <= step.explained.stamp] or list(
                frames[:1]
            )
            if seen:
                rows += [
                    _animation_title(name, summaries[name], style, seen[-1].explained, tile, len(cameras)),
                    _animation_row(seen, frames, cameras, style, tile),
                ]
        pictures.append(stacked([*rows, legend]))
    return pictures


def _animation_width(tile: int, cameras: int) -> int:
    return (1 + cameras) * (tile + 6) + round(1.9 * tile)


def _animation_title(
    name: str,
    summary: Summary,
    style: Style,
    frame: ExplainedFrame,
    tile: int,
    cameras: int,
) -> np.ndarray:
    mean = with_interval(summary.nmr.value, summary.nmr.low, summary.nmr.high)
    right = f"mean NMR@{style.percent} {mean}, chance {number(summary.chance)}"
    left = f"{name} policy · {frame.episode}"
    return text_line(_animation_width(tile, cameras), left, right, 14, bold=True)


def _animation_row(
    seen: Sequence[ShownFrame],
    frames: Sequence[ShownFrame],
    cameras: Sequence[str],
    style: Style,
    tile: int,
) -> np.ndarray:
    now = seen[-1]
    span = max(_played_seconds([frame.explained for frame in frames])[-1], 1e-3)
    tiles = [now.images[cameras[0]], *(style.heat(now, camera) for camera in cameras)]
    small = [resized(picture, tile) for picture in tiles]
    chart = draw_chart(
        _points([frame.explained for frame in seen]),
        now.explained.chance,
        size=(round(1.9 * tile), small[0].shape[0]),
        span=span,
        percent=style.percent,
        now=span,
        elapsed=True,
    )
    return beside([*small, chart])


def _played_seconds(frames: Sequence[ExplainedFrame]) -> list[float]:
    """Return each frame's time with the pauses between episodes cut down to ``PAUSE``."""
    seconds = []
    offset = previous = None
    for frame in frames:
        if previous is None or offset is None:
            offset = frame.seconds
        elif frame.episode != previous.episode:
            offset += frame.seconds - previous.seconds - PAUSE
        seconds.append(frame.seconds - offset)
        previous = frame
    return seconds


def _points(frames: Sequence[ExplainedFrame]) -> list[Point]:
    """Return the chart's points with a gap between episodes."""
    points: list[Point] = []
    previous = None
    for frame, seconds in zip(frames, _played_seconds(frames), strict=True):
        if previous is not None and frame.episode != previous:
            points.append((seconds, math.nan, math.nan, math.nan))
        points.append((seconds, frame.nmr, frame.low, frame.high))
        previous = frame.episode
    return points
