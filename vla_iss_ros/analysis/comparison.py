# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pictures that set policies side by side on the same frames."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vla_iss_ros.analysis.episodes import ExplainedFrame, Summary
from vla_iss_ros.render.heat import blend_heat
from vla_iss_ros.render.overlay import colour_bar, region_legend
from vla_iss_ros.render.pictures import (
    Mean,
    Panel,
    Row,
    Series,
    contact_sheet,
    nmr_chart,
    stacked,
)
from vla_iss_ros.render.text import MUTED, number, text_line

# Frames of two policies this near to each other (ns) are shown as one moment.
TOLERANCE = 100_000_000
# Span of the logarithmic colour axis: contrasts of one policy differ a hundredfold between moments.
DECADES = 2
LEGEND = "contrast: how much more the action moves when this place is replaced; one scale for all, no colour below it"


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
    """How heat is drawn: see ``vla_iss_ros.settings``; ``percent`` is k of the headline NMR@k.

    ``scale``: top of the colour axis in units of delta, one for all pictures that are to be compared.
    """

    alpha: float
    colour_map: str
    percent: int
    scale: float

    def heat(self, frame: ShownFrame, camera: str) -> np.ndarray:
        """Return a camera's image with the heat over it, uint8 [H, W, 3] RGB."""
        return blend_heat(
            frame.images[camera],
            frame.contrasts[camera],
            self.scale,
            alpha=self.alpha,
            colour_map=self.colour_map,
            decades=DECADES,
        )

    def legend(self, width: int) -> np.ndarray:
        """Return the words and the bar of the colour axis, uint8 [h, width, 3] RGB."""
        bar = colour_bar(
            min(width, 400), self.scale, alpha=self.alpha, colour_map=self.colour_map, decades=DECADES
        )
        return stacked([text_line(width, LEGEND, "", 15, colour=MUTED), bar])


def common_scale(policies: Mapping[str, Sequence[ShownFrame]]) -> float:
    """Return the top of one colour axis for all frames of all policies, in units of delta.

    That is the 95th percentile of the frames' greatest contrasts, so that a single frame does not darken all
    others; 1.0 where no contrast is above zero.
    """
    peaks = [peak(frame) for frames in policies.values() for frame in frames]
    positive = [value for value in peaks if value > 0]
    return float(np.percentile(positive, 95)) if positive else 1.0


def peak(frame: ShownFrame) -> float:
    """Return the greatest contrast of a frame over its cameras, in units of delta; NaN where none is finite."""
    values = np.concatenate([np.ravel(contrast) for contrast in frame.contrasts.values()])
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else math.nan


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

    All overlays have the style's one colour axis, so that colours can be compared over rows and policies; a
    frame that does not reach its lower end shows no heat. Raises ValueError when no policy has a frame.
    """
    columns = [
        column
        for camera in cameras
        for column in (f"{camera} camera", "regions", *(f"{name} policy" for name in policies))
    ]
    rows = [_sheet_row(moment, policies, cameras, style) for moment in _moments(policies, count)]
    footer = [
        style.legend(860),
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
    label = [moment.explained.episode, f"t = {moment.explained.seconds:.2f} s"]
    for name, frame in shown.items():
        if frame is None:
            label.append(f"{name}: not explained here")
        else:
            label += [f"{name} NMR {number(frame.explained.nmr)}", f"   peak {peak(frame):.2g} delta"]
    label.append(f"chance {number(moment.explained.chance)}")
    tiles: list[np.ndarray | None] = []
    for camera in cameras:
        image, regions = moment.images[camera], moment.regions.get(camera)
        # The recorded picture has a key below the image.
        tiles += [image, None if regions is None else regions[: image.shape[0]]]
        for frame in shown.values():
            tiles.append(None if frame is None else style.heat(frame, camera))
    return Row(label, tiles)


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
