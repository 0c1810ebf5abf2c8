"""Pictures that set policies side by side on the same frames."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vla_iss_ros.analysis.episodes import ExplainedFrame, Summary
from vla_iss_ros.render.chart import Point, draw_chart
from vla_iss_ros.render.overlay import Scale, blend_heat, colour_bar, region_legend
from vla_iss_ros.render.pictures import (
    Mean,
    Panel,
    Row,
    Series,
    beside,
    contact_sheet,
    nmr_chart,
    resized,
    stacked,
)
from vla_iss_ros.render.text import MUTED, number, text_line, with_interval

# Frames of two policies this near to each other (ns) are shown as one moment.
TOLERANCE = 100_000_000
# Seconds between two episodes in the animation's chart.
PAUSE = 0.15


@dataclass(frozen=True)
class ShownFrame:
    """An explained frame with its pictures, by camera.

    ``images`` uint8 [H, W, 3] RGB, ``contrasts`` float32 [H, W] in units of delta, ``regions`` uint8 [H, W,
    3] RGB: the image tinted by region, missing where there are none.
    """

    explained: ExplainedFrame
    images: Mapping[str, np.ndarray]
    contrasts: Mapping[str, np.ndarray]
    regions: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Style:
    """How heat is drawn: see ``vla_iss_ros.settings``; ``percent`` is k of the headline NMR@k."""

    alpha: float
    colour_map: str
    percent: int


def running_scales(frames: Sequence[ShownFrame]) -> dict[int, float]:
    """Return the scale at each frame's stamp, in units of delta, as it adapts slowly over the frames."""
    scale = Scale()
    return {frame.explained.stamp: scale.update(frame.contrasts.values()) for frame in frames}


def nearest(frames: Sequence[ShownFrame], stamp: int, tolerance: int) -> ShownFrame | None:
    """Return the frame nearest to ``stamp`` (ns) of those in order of time, or None beyond ``tolerance``."""
    stamps = [frame.explained.stamp for frame in frames]
    place = bisect.bisect_left(stamps, stamp)
    candidates = frames[max(0, place - 1) : place + 1]
    best = min(candidates, key=lambda frame: abs(frame.explained.stamp - stamp), default=None)
    return best if best is not None and abs(best.explained.stamp - stamp) <= tolerance else None


def spread(frames: Sequence[ShownFrame], count: int) -> list[ShownFrame]:
    """Return about ``count`` frames, as many of each episode as of any other, spread over its length."""
    episodes: dict[str, list[ShownFrame]] = {}
    for frame in frames:
        episodes.setdefault(frame.explained.episode, []).append(frame)
    each = max(1, round(count / max(1, len(episodes))))
    picked = []
    for members in episodes.values():
        places = (np.arange(min(each, len(members))) + 0.5) * len(members) / min(each, len(members))
        picked += [members[int(place)] for place in places]
    return picked


def sheet(
    policies: Mapping[str, Sequence[ShownFrame]], cameras: Sequence[str], style: Style, count: int = 6
) -> np.ndarray:
    """Return a contact sheet of camera, regions and every policy's overlay, uint8 [H, W, 3] RGB.

    Stills of moments whose contrasts may differ a hundredfold: each policy's overlays of a row have a scale of
    their own, common to the cameras, which stands at the row. Raises ValueError when no policy has a frame.
    """
    columns = [
        column
        for camera in cameras
        for column in (f"{camera} camera", "regions", *(f"{name} policy" for name in policies))
    ]
    rows = [_sheet_row(moment, policies, cameras, style) for moment in _moments(policies, count)]
    words = "contrast: how much more the action moves when this place is replaced"
    bar = colour_bar(360, "the row's scale", alpha=style.alpha, colour_map=style.colour_map)
    footer = [
        stacked([text_line(600, words, "", 15, colour=MUTED), bar]),
        stacked([text_line(360, "regions", "", 15, colour=MUTED), region_legend(360)]),
    ]
    title = f"What moves the action: contrast in units of delta, and NMR@{style.percent}"
    return contact_sheet(columns, rows, title=title, footer=footer)


def _moments(policies: Mapping[str, Sequence[ShownFrame]], count: int) -> list[ShownFrame]:
    """Return frames of the policy that has most, where there are enough those that all policies have."""
    fullest = max(policies.values(), key=len, default=())
    shared = [
        frame
        for frame in fullest
        if all(nearest(frames, frame.explained.stamp, TOLERANCE) for frames in policies.values())
    ]
    return spread(shared if len(shared) >= count else fullest, count)


def _sheet_row(
    moment: ShownFrame,
    policies: Mapping[str, Sequence[ShownFrame]],
    cameras: Sequence[str],
    style: Style,
) -> Row:
    shown = {name: nearest(frames, moment.explained.stamp, TOLERANCE) for name, frames in policies.items()}
    scales = {name: running_scales([frame]) for name, frame in shown.items() if frame is not None}
    label = [moment.explained.episode, f"t = {moment.explained.seconds:.2f} s"]
    for name, frame in shown.items():
        if frame is None:
            label.append(f"{name}: not explained here")
        else:
            scale = scales[name][frame.explained.stamp]
            label += [f"{name} NMR {number(frame.explained.nmr)}", f"   scale {scale:.2g} delta"]
    label.append(f"chance {number(moment.explained.chance)}")
    tiles: list[np.ndarray | None] = []
    for camera in cameras:
        image, regions = moment.images[camera], moment.regions.get(camera)
        # The recorded picture has a key below the image.
        tiles += [image, None if regions is None else regions[: image.shape[0]]]
        for name, frame in shown.items():
            tiles.append(None if frame is None else _heat(frame, camera, scales[name], style))
    return Row(label, tiles)


def _heat(frame: ShownFrame, camera: str, scales: Mapping[int, float], style: Style) -> np.ndarray:
    scale = scales[frame.explained.stamp]
    return blend_heat(
        frame.images[camera], frame.contrasts[camera], scale, alpha=style.alpha, colour_map=style.colour_map
    )


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
    """
    scales = {name: running_scales(frames) for name, frames in policies.items()}
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
                    _animation_title(
                        name, summaries[name], style, seen[-1].explained, scales[name], tile, len(cameras)
                    ),
                    _animation_row(seen, frames, cameras, scales[name], style, tile),
                ]
        pictures.append(stacked(rows))
    return pictures


def _animation_width(tile: int, cameras: int) -> int:
    return (1 + cameras) * (tile + 6) + round(1.9 * tile)


def _animation_title(
    name: str,
    summary: Summary,
    style: Style,
    frame: ExplainedFrame,
    scales: Mapping[int, float],
    tile: int,
    cameras: int,
) -> np.ndarray:
    mean = with_interval(summary.nmr.value, summary.nmr.low, summary.nmr.high)
    right = f"mean NMR@{style.percent} {mean}, chance {number(summary.chance)}"
    left = f"{name} policy · {frame.episode} · scale {scales[frame.stamp]:.2g} delta"
    return text_line(_animation_width(tile, cameras), left, right, 14, bold=True)


def _animation_row(
    seen: Sequence[ShownFrame],
    frames: Sequence[ShownFrame],
    cameras: Sequence[str],
    scales: Mapping[int, float],
    style: Style,
    tile: int,
) -> np.ndarray:
    now = seen[-1]
    span = max(_played_seconds([frame.explained for frame in frames])[-1], 1e-3)
    tiles = [now.images[cameras[0]], *(_heat(now, camera, scales, style) for camera in cameras)]
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


@dataclass(frozen=True)
class Curve:
    """Frames of one policy under one baseline, in order of time; ``place``: the policy's, for its colour."""

    policy: str
    baseline: str
    place: int
    frames: Sequence[ExplainedFrame]
    summary: Summary

    @property
    def name(self) -> str:
        """What the legend says."""
        return f"{self.policy}, {self.baseline}"

    @property
    def dashed(self) -> bool:
        """Whether this is not the default baseline."""
        return self.baseline != "donor"


def chart(curves: Sequence[Curve], percent: int) -> bytes:
    """Return a PNG of NMR over time, a panel an episode, and of its means."""
    fullest = max((curve.frames for curve in curves), key=len, default=())
    return nmr_chart(
        [_panel(name, curves) for name in _episodes(fullest)],
        [_mean(curve) for curve in curves],
        percent=percent,
    )


def _mean(curve: Curve) -> Mean:
    nmr = curve.summary.nmr
    return Mean(curve.name, nmr.value, nmr.low, nmr.high, curve.place, curve.dashed)


def _episodes(frames: Sequence[ExplainedFrame]) -> list[str]:
    return list(dict.fromkeys(frame.episode for frame in frames))


def _panel(episode: str, curves: Sequence[Curve]) -> Panel:
    members = [[frame for frame in curve.frames if frame.episode == episode] for curve in curves]
    start = min(frame.seconds for frames in members for frame in frames)
    length = max(frame.seconds for frames in members for frame in frames) - start
    series = [_series(curve, start, frames) for curve, frames in zip(curves, members, strict=True)]
    chance = {frame.seconds - start: frame.chance for frames in members for frame in frames}
    seconds = np.array(sorted(chance))
    return Panel(episode, series, (seconds, np.array([chance[second] for second in seconds])), length)


def _series(curve: Curve, start: float, frames: Sequence[ExplainedFrame]) -> Series:
    columns = np.array([(frame.seconds - start, frame.nmr, frame.low, frame.high) for frame in frames])
    seconds, values, low, high = columns.reshape(-1, 4).T
    return Series(curve.name, seconds, values, low, high, colour=curve.place, dashed=curve.dashed)
