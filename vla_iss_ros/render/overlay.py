# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Heat and regions drawn over the camera's image, for people.

The heat shows which pixels the action depends on when they are replaced by the baseline. It does not show
what the policy attends to, nor whether the action is right. Programs read the saliency topic instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vla_iss_ros.iss.region_map import ACTOR, NAMES, NUISANCE, SUPPORT
from vla_iss_ros.render.heat import blend_heat
from vla_iss_ros.render.text import (
    FOREGROUND,
    MUTED,
    SMALLEST,
    Colour,
    blank,
    draw_text,
    size_for,
    text_line,
    text_width,
    with_interval,
)
from vla_iss_ros.render.text import number as number_text
from vla_iss_ros.render.words import draw_words

# Okabe and Ito's palette: told apart with every common colour vision deficiency.
REGION_COLOURS: dict[int, Colour] = {ACTOR: (0, 114, 178), SUPPORT: (230, 159, 0), NUISANCE: (120, 120, 120)}
REGION_OPACITY = {ACTOR: 0.6, SUPPORT: 0.5, NUISANCE: 0.55}
REGION_TABLE = np.zeros((256, 1, 3), np.uint8)
REGION_OPACITIES = np.zeros(256, np.float32)
for _value, _colour in REGION_COLOURS.items():
    REGION_TABLE[_value, 0], REGION_OPACITIES[_value] = _colour, REGION_OPACITY[_value]


# Of the same palette; the word stands beside it.
LEVEL_COLOURS: dict[str, Colour] = {"warning": (240, 228, 66), "error": (240, 128, 60)}
ENOUGH_PIXELS = 20_000
# State of an overlay whose camera is missing.
STOOD_IN = "camera missing, not a new image"


@dataclass(frozen=True)
class Legend:
    """What stands around a heat map. NaN is written as nan; ``state`` says why, in a few words.

    ``samples``: N. ``adapts``: whether the colour scale follows the map slowly, or was set. ``level``: warning or
    error where NMR is judged so, said in a word and in a colour. ``words``: (word, contrast) of the instruction, in
    units of delta; NaN where a word's contrast is not known.
    """

    camera: str = ""
    percent: int = 10
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    chance: float = math.nan
    samples: int = 0
    state: str = ""
    adapts: bool = True
    level: str = ""
    words: Sequence[tuple[str, float]] = ()


class Scale:
    """The contrast at the top of the colour map: one for all views, steady over time.

    Follows the ``percentile`` of the positive contrasts in the logarithm, for contrasts of one policy differ
    a hundredfold between moments: quickly upwards (``grow`` of the way a frame) and slowly downwards
    (``decay`` of the way), so that colours of neighbouring frames can be compared. ``fixed`` > 0 holds it.
    """

    def __init__(
        self, fixed: float = 0.0, *, percentile: float = 99.0, grow: float = 0.7, decay: float = 0.2
    ):
        if not fixed >= 0 or not math.isfinite(fixed):
            raise ValueError(f"overlay_scale must be finite and not negative, got {fixed}")
        self._fixed, self._percentile, self._grow, self._decay = fixed, percentile, grow, decay
        self._value = fixed

    @property
    def adapts(self) -> bool:
        """Whether the scale follows the maps."""
        return self._fixed == 0

    @property
    def value(self) -> float:
        """The present scale in units of delta; 1.0 before the first contrast above zero was seen."""
        return self._value or 1.0

    def update(self, contrasts: Iterable[np.ndarray]) -> float:
        """Take in one frame's maps, float32 [H, W] of every view, and return the scale for it."""
        if self.adapts:
            thinned = [np.ravel(_thinned(contrast)) for contrast in contrasts]
            values = np.concatenate(thinned or [np.empty(0)])
            positive = values[np.isfinite(values) & (values > 0)]
            if positive.size:
                target = float(np.percentile(positive, self._percentile))
                rate = self._grow if target > self._value else self._decay
                self._value = target if self._value == 0 else self._value * (target / self._value) ** rate
        return self.value

    def reset(self) -> None:
        """Forget the maps seen so far."""
        self._value = self._fixed


def _thinned(contrast: np.ndarray) -> np.ndarray:
    """Return enough pixels of a map, whose cells are far larger than a pixel, for a percentile."""
    step = max(1, round(math.sqrt(contrast.size / ENOUGH_PIXELS)))
    return contrast[::step, ::step]


def draw_overlay(
    image: np.ndarray,
    contrast: np.ndarray,
    scale: float,
    *,
    alpha: float = 0.6,
    colour_map: str = "inferno",
    legend: Legend | None = None,
) -> np.ndarray:
    """Return the heat over the image between two strips of text, uint8 [H', W, 3] RGB.

    ``image`` uint8 [H, W, 3], ``contrast`` float [H, W] and ``scale`` in units of delta: see
    :func:`blend_heat`. The image keeps its size; :func:`image_rows` tells which rows it fills.
    """
    legend = legend or Legend()
    body = blend_heat(image, contrast, scale, alpha=alpha, colour_map=colour_map)
    width = image.shape[1]
    words = draw_words(width, legend.words, scale, alpha=alpha, colour_map=colour_map)
    return np.concatenate(
        [_header(width, legend), body, words, _footer(width, scale, alpha, colour_map, legend)]
    )


def image_rows(width: int, height: int) -> slice:
    """Return which rows of an overlay of a ``width`` x ``height`` image are the image itself."""
    top = _header(width, Legend()).shape[0]
    return slice(top, top + height)


def _header(width: int, legend: Legend) -> np.ndarray:
    size = size_for(width)
    ratio = f"NMR@{legend.percent} {with_interval(legend.value, legend.low, legend.high)}"
    colour = LEVEL_COLOURS.get(legend.level, MUTED)
    return np.concatenate(
        [
            text_line(width, legend.camera, ratio, size, bold=True),
            text_line(
                width,
                f"N = {legend.samples}",
                _beside_chance(legend),
                size,
                colour=MUTED,
                right_colour=colour,
            ),
        ]
    )


def _beside_chance(legend: Legend) -> str:
    """Return chance, and by how much NMR exceeds it, with the judgement of that."""
    text = f"chance {number_text(legend.chance)}"
    ratio = legend.value / legend.chance if legend.chance > 0 else math.nan
    if not math.isnan(ratio):
        text = f"{ratio:.1f} x {text}"
    return f"{legend.level.upper()}: {text}" if legend.level else text


def _footer(width: int, scale: float, alpha: float, colour_map: str, legend: Legend) -> np.ndarray:
    how = "auto" if legend.adapts else "set"
    size = size_for(width)
    return np.concatenate(
        [
            colour_bar(width, scale, alpha=alpha, colour_map=colour_map, note=how),
            text_line(width, legend.state, "", size, colour=MUTED),
        ]
    )


def colour_bar(
    width: int,
    scale: float,
    *,
    alpha: float = 0.6,
    colour_map: str = "inferno",
    decades: float = 0.0,
    note: str = "",
) -> np.ndarray:
    """Return a bar from 0 to ``scale`` (units of delta) with its numbers, uint8 [h, width, 3].

    ``decades`` > 0: the bar is logarithmic and starts that many decades below ``scale``. The colours are those
    seen over mid-grey, so that they look as they do on the image. ``note`` stands behind the scale, such as auto for
    one that follows the maps slowly.
    """
    size = size_for(width)
    bar = blank(round(size * 1.7), width)
    margin, gap, middle = round(size * 0.5), round(size * 0.5), bar.shape[0] / 2
    low, high = "0", f"{scale:.2g} delta" + (f", {note}" if note else "")
    if decades > 0:
        low, high = f"{scale / 10**decades:.2g}", f"{high}, log"
    left = margin + text_width(low, size) + gap
    right = width - margin - text_width(high, size) - gap
    draw_text(bar, low, (margin, middle), size)
    draw_text(bar, high, (width - margin, middle), size, anchor="rm")
    if right - left >= 8:
        thickness = max(6, round(size * 0.7))
        top = round(middle - thickness / 2)
        ramp = np.tile(np.linspace(0, 1, right - left, dtype=np.float32), (thickness, 1))
        contrast = 10 ** (decades * (ramp - 1)) if decades > 0 else ramp
        grey = np.full((*ramp.shape, 3), 128, np.uint8)
        bar[top : top + thickness, left:right] = blend_heat(
            grey, contrast, 1.0, alpha=alpha, colour_map=colour_map, decades=decades
        )
        cv2.rectangle(bar, (left - 1, top - 1), (right, top + thickness), MUTED, 1)
    return bar


def blend_regions(image: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Return ``image`` uint8 [H, W, 3] tinted by ``regions`` uint8 [h, w], same shape as the image.

    Regions of another size are brought to the image's by nearest neighbour. Raises ValueError for unknown
    regions.
    """
    if regions.ndim != 2 or regions.size == 0 or int(regions.max()) not in NAMES:
        found = int(regions.max()) if regions.size else "none"
        raise ValueError(
            f"regions must be [h, w] of {sorted(NAMES)}, got {list(regions.shape)} up to {found}"
        )
    height, width = image.shape[:2]
    regions = cv2.resize(regions.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    tint = cv2.applyColorMap(regions, REGION_TABLE)
    opacity = cv2.LUT(regions, REGION_OPACITIES)
    return cv2.blendLinear(image, tint, 1 - opacity, opacity)


def draw_regions(image: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Return :func:`blend_regions` above a key with the regions' area shares, uint8 [H', W, 3] RGB."""
    shares = {value: float((regions == value).mean()) for value in (ACTOR, SUPPORT, NUISANCE)}
    return np.concatenate([blend_regions(image, regions), region_legend(image.shape[1], shares)])


def region_legend(width: int, shares: dict[int, float] | None = None) -> np.ndarray:
    """Return the key of the regions' colours, uint8 [h, width, 3], with area shares where given."""
    size = size_for(width)
    strip = blank(round(size * 1.7), width)
    names = {value: NAMES[value] for value in REGION_COLOURS}
    shown = (
        {value: f"{name} {100 * shares[value]:.0f} %" for value, name in names.items()} if shares else names
    )
    if _key_width(shown, SMALLEST) > width:
        shown = names
    while size > SMALLEST and _key_width(shown, size) > width:
        size -= 1
    middle, x = strip.shape[0] / 2, size * 0.5
    for value, name in shown.items():
        top = round(middle - size * 0.45)
        strip[top : top + round(size * 0.9), round(x) : round(x + size * 0.9)] = REGION_COLOURS[value]
        draw_text(strip, name, (x + size * 1.3, middle), size, colour=FOREGROUND)
        x += text_width(name, size) + 2.5 * size
    return strip


def _key_width(names: dict[int, str], size: int) -> float:
    return sum(text_width(name, size) + 2.5 * size for name in names.values())
