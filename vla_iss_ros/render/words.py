# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The instruction under a picture, each word shaded by how far the action depends on it.

A shade has the meaning, the colours and the scale of the heat above it: how far the action moves when the word is
replaced. It does not show what the policy attends to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vla_iss_ros.render.heat import blend_heat
from vla_iss_ros.render.text import FOREGROUND, Colour, blank, draw_text, fit, size_for, text_width

LINES = 3
DARK: Colour = (15, 15, 15)
GREY = 128
# From this brightness of the shade on, dark letters have the better contrast (of 255).
BRIGHT = 110
MORE = "…"


def draw_words(
    width: int,
    words: Sequence[tuple[str, float]],
    scale: float = 1.0,
    *,
    alpha: float = 0.6,
    colour_map: str = "inferno",
) -> np.ndarray:
    """Return the words in lines, each on its shade, uint8 [h, width, 3] RGB; no rows where there are no words.

    ``words``: (word, contrast) in the order of the sentence; ``scale``: the contrast of the strongest shade, in the
    same unit. A word whose contrast is NaN (not known) has no shade; that of zero or less is grey. At most
    three lines are drawn; an ellipsis stands for the rest. Raises ValueError for a scale that is not above 0.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be finite and above 0, got {scale}")
    size = size_for(width)
    padding, height = round(size * 0.3), round(size * 1.55)
    lines = _broken(words, size, padding, width - size)
    strip = blank(height * len(lines), width)
    for row, line in enumerate(lines):
        x, top = size // 2, row * height
        for word, contrast in line:
            word, fitting = fit(word, size, width - size - 2 * padding)
            right = x + text_width(word, fitting) + 2 * padding
            box = strip[top + 2 : top + height - 2, x:right]
            colour = _shade(box, contrast, scale, alpha, colour_map)
            draw_text(strip[top : top + height, x:right], word, (padding, height / 2), fitting, colour=colour)
            x = right + padding
    return strip


def _shade(box: np.ndarray, contrast: float, scale: float, alpha: float, colour_map: str) -> Colour:
    """Lay the contrast's heat into ``box`` in place; return the colour in which letters stand out from it.

    The heat lies over mid-grey, as in the colour bar, so that the two can be compared.
    """
    if box.size == 0 or math.isnan(contrast):
        return FOREGROUND
    grey = np.full((1, 1, 3), GREY, np.uint8)
    strength = np.full((1, 1), np.clip(contrast / scale, 0, 1), np.float32)
    box[:] = blend_heat(grey, strength, 1.0, alpha=alpha, colour_map=colour_map)
    red, green, blue = (float(part) for part in box[0, 0])
    return DARK if 0.299 * red + 0.587 * green + 0.114 * blue >= BRIGHT else FOREGROUND


def _broken(
    words: Sequence[tuple[str, float]], size: int, padding: int, room: int
) -> list[list[tuple[str, float]]]:
    """Return the words in at most :data:`LINES` lines of at most ``room`` px."""
    lines: list[list[tuple[str, float]]] = []
    left = 0
    for word, contrast in words:
        needed = text_width(word, size) + 3 * padding
        if not lines or (needed > left and lines[-1]):
            if len(lines) == LINES:
                _end(lines[-1], left, size, padding)
                break
            lines.append([])
            left = room
        lines[-1].append((word, contrast))
        left -= needed
    return lines


def _end(line: list[tuple[str, float]], left: int, size: int, padding: int) -> None:
    """Put an ellipsis at the line's end, in the place of its last words where ``left`` px are not enough."""
    needed = text_width(MORE, size) + 3 * padding
    while line and needed > left:
        left += text_width(line.pop()[0], size) + 3 * padding
    line.append((MORE, math.nan))
