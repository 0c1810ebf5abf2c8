# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Text on pictures: DejaVu Sans through Pillow, for OpenCV's stroke fonts are hard to read below 20 px."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

BACKGROUND: Colour = (20, 22, 28)
FOREGROUND: Colour = (240, 240, 240)
MUTED: Colour = (170, 175, 185)
SMALLEST = 9
LEFT_SHARE = 0.6  # of a line too narrow for both its texts


@functools.lru_cache(maxsize=64)
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans at ``size`` px, from the copy that matplotlib carries."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    if not path.is_file():  # distributions move the fonts out of matplotlib
        path = Path(
            font_manager.findfont(font_manager.FontProperties("DejaVu Sans", weight=700 if bold else 400))
        )
    # Not Raqm, which is not everywhere and raises for some control characters.
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def printable(text: str) -> str:
    """Return ``text`` with a question mark for whatever cannot be drawn, such as control characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def blank(height: int, width: int) -> np.ndarray:
    """Return an empty strip in the background's colour, uint8 [height, width, 3]; much faster than numpy's full."""
    strip = np.empty((height, width, 3), np.uint8)
    if strip.size:
        cv2.rectangle(strip, (0, 0), (width - 1, height - 1), BACKGROUND, cv2.FILLED)
    return strip


def size_for(width: int) -> int:
    """Return the text size in px for a picture ``width`` px wide: legible from 320 px on."""
    return int(np.clip(round(width * 0.043), 11, 26))


@functools.lru_cache(maxsize=1024)
def text_width(text: str, size: int, bold: bool = False) -> int:
    """Return the width of ``text`` in px."""
    return math.ceil(font(size, bold).getlength(printable(text)))


def fit(text: str, size: int, room: int, bold: bool = False) -> tuple[str, int]:
    """Return ``text`` and a text size that fit into ``room`` px: first smaller, then cut with an ellipsis."""
    while text_width(text, size, bold) > room and size > SMALLEST:
        size -= 1
    if text_width(text, size, bold) <= room:
        return text, size
    while text and text_width(text + "…", size, bold) > room:
        text = text[:-1]
    return (text + "…" if text else ""), size


def draw_text(
    image: np.ndarray,
    text: str,
    at: tuple[float, float],
    size: int,
    *,
    colour: Colour = FOREGROUND,
    anchor: str = "lm",
    bold: bool = False,
) -> None:
    """Write ``text`` into ``image`` uint8 [H, W, 3] in place; ``anchor`` is Pillow's (lm: left, middle)."""
    x, y = math.floor(at[0]), math.floor(at[1])
    left, top, cover = _letters(printable(text), size, bold, anchor, at[0] - x, at[1] - y)
    left, top = x + left, y + top
    cut_left, cut_top = max(0, -left), max(0, -top)
    box = image[top + cut_top : max(0, top + len(cover)), left + cut_left : max(0, left + cover.shape[1])]
    if box.size == 0:
        return
    cover = cover[cut_top : cut_top + box.shape[0], cut_left : cut_left + box.shape[1]]
    box[:] = (box * (255 - cover) + np.array(colour, np.uint16) * cover + 127) // 255


# Most of an overlay's text is that of the frame before, and Pillow takes milliseconds for it.
@functools.lru_cache(maxsize=256)
def _letters(
    text: str, size: int, bold: bool, anchor: str, right: float, down: float
) -> tuple[int, int, np.ndarray]:
    """Return where the letters begin, left and top of their anchor, and how far they cover, uint16 [h, w, 1] to 255."""
    letters = font(size, bold)
    box = letters.getbbox(text, anchor=anchor)
    x, y = math.floor(right + box[0]) - 1, math.floor(down + box[1]) - 1
    room = (math.ceil(right + box[2]) + 1 - x, math.ceil(down + box[3]) + 1 - y)
    picture = Image.new("L", room)
    ImageDraw.Draw(picture).text((right - x, down - y), text, font=letters, fill=255, anchor=anchor)
    cover = np.asarray(picture, np.uint16)[..., None]
    cover.flags.writeable = False
    return x, y, cover


def text_line(
    width: int,
    left: str,
    right: str,
    size: int,
    *,
    bold: bool = False,
    colour: Colour = FOREGROUND,
    right_colour: Colour | None = None,
) -> np.ndarray:
    """Return one line, uint8 [h, width, 3], with ``left`` and ``right`` at its ends.

    Shrinks until both fit; where the smallest text is still too long, cuts with an ellipsis.
    """
    line = blank(round(size * 1.55), width)
    margin, middle = round(size * 0.5), line.shape[0] / 2
    room = width - 2 * margin - (size if left and right else 0)
    while size > SMALLEST and text_width(left, size, bold) + text_width(right, size, bold) > room:
        size -= 1
    left, _ = fit(left, size, max(room - text_width(right, size, bold), round(room * LEFT_SHARE)), bold)
    right, _ = fit(right, size, room - text_width(left, size, bold), bold)
    draw_text(line, left, (margin, middle), size, colour=colour, bold=bold)
    draw_text(
        line, right, (width - margin, middle), size, colour=right_colour or colour, anchor="rm", bold=bold
    )
    return line


def number(value: float, digits: int = 2) -> str:
    """Return ``value`` with ``digits`` decimals; nan stays visible."""
    return "nan" if math.isnan(value) else f"{value:.{digits}f}"


def with_interval(value: float, low: float, high: float, *, always: bool = False) -> str:
    """Return ``value [low, high]``; where there is no interval without the brackets, unless ``always``."""
    if not always and (math.isnan(low) or math.isnan(high)):
        return number(value)
    return f"{number(value)} [{number(low)}, {number(high)}]"
