# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pictures over many frames: contact sheet, NMR over time, animation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from vla_iss_ros.render.files import write_atomically
from vla_iss_ros.render.text import BACKGROUND, FOREGROUND, MUTED, draw_text, fit, size_for, text_line

GAP = 6
# Okabe and Ito: blue, vermillion, green, purple.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
GIF_LIMIT = 3_000_000
# What is given up, in this order, until an animation fits: (scale, colours, one frame in so many).
GIF_STEPS = (
    (1.0, 128, 1),
    (1.0, 64, 1),
    (0.85, 64, 1),
    (0.7, 64, 1),
    (0.7, 32, 2),
    (0.5, 32, 2),
    (0.35, 16, 4),
    (0.25, 16, 8),
)


@dataclass(frozen=True)
class Row:
    """A contact sheet's row: lines of a label, one picture uint8 [h, w, 3] a column (None: left empty)."""

    label: Sequence[str]
    tiles: Sequence[np.ndarray | None]


@dataclass(frozen=True)
class Series:
    """NMR over time of one policy and baseline; all arrays float [n], NaN where undefined.

    ``colour``: index of the policy, which shares its colour over baselines. ``dashed``: for the second
    baseline.
    """

    name: str
    seconds: np.ndarray
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    colour: int = 0
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One episode of a chart; ``chance``: (seconds [n], nuisance area share [n]); ``length``: seconds."""

    title: str
    series: Sequence[Series]
    chance: tuple[np.ndarray, np.ndarray]
    length: float


@dataclass(frozen=True)
class Mean:
    """Mean NMR of a series with its interval, NaN where undefined."""

    name: str
    value: float
    low: float
    high: float
    colour: int = 0
    dashed: bool = False


def resized(image: np.ndarray, width: int) -> np.ndarray:
    """Return ``image`` uint8 [h, w, 3] at ``width``, its aspect ratio kept."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    method = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=method)


def contact_sheet(
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    title: str,
    footer: Sequence[np.ndarray] = (),
    tile_width: int = 224,
    label_width: int = 200,
) -> np.ndarray:
    """Return labelled rows and columns of pictures, uint8 [H, W, 3] RGB.

    ``footer``: strips (colour bars, keys) drawn below at their own size, side by side as far as the width
    goes. Raises ValueError when there are no rows or a row has another number of tiles than there are
    columns.
    """
    if not rows:
        raise ValueError("a contact sheet needs at least one row, got none")
    for row in rows:
        if len(row.tiles) != len(columns):
            raise ValueError(
                f"every row must have {len(columns)} tiles, got {len(row.tiles)} in '{row.label[0]}'"
            )
    width = label_width + len(columns) * (tile_width + GAP) + GAP
    text = size_for(tile_width) + 2
    heading = np.full((round(text * 1.8), width, 3), BACKGROUND, np.uint8)
    for index, name in enumerate(columns):
        x = label_width + index * (tile_width + GAP) + tile_width / 2
        shown, size = fit(name, text, tile_width, bold=True)
        draw_text(heading, shown, (x, heading.shape[0] / 2), size, anchor="mm", bold=True)
    parts = [text_line(width, title, "", text + 3, bold=True), heading]
    parts += [_sheet_row(row, width, tile_width, label_width, text) for row in rows]
    return np.concatenate(parts + _flow(footer, width))


def _sheet_row(row: Row, width: int, tile_width: int, label_width: int, text: int) -> np.ndarray:
    tiles = [None if tile is None else resized(tile, tile_width) for tile in row.tiles]
    height = max([tile.shape[0] for tile in tiles if tile is not None], default=tile_width)
    picture = np.full((height + GAP, width, 3), BACKGROUND, np.uint8)
    for index, tile in enumerate(tiles):
        x = label_width + index * (tile_width + GAP)
        if tile is not None:
            picture[: tile.shape[0], x : x + tile_width] = tile
    line_height = text * 1.6
    y = height / 2 - line_height * (len(row.label) - 1) / 2
    for index, line in enumerate(row.label):
        shown, size = fit(line, text, label_width - text, bold=index == 0)
        colour = FOREGROUND if index == 0 else MUTED
        draw_text(picture, shown, (text * 0.5, y + index * line_height), size, colour=colour, bold=index == 0)
    return picture


def _flow(strips: Sequence[np.ndarray], width: int) -> list[np.ndarray]:
    lines: list[list[np.ndarray]] = []
    for strip in strips:
        strip = strip[:, :width]
        if not lines or sum(part.shape[1] + GAP for part in lines[-1]) + strip.shape[1] > width:
            lines.append([])
        lines[-1].append(strip)
    return [beside(line, width) for line in lines]


def beside(images: Sequence[np.ndarray], width: int = 0) -> np.ndarray:
    """Return ``images`` uint8 [h, w, 3] side by side with gaps, padded to the tallest and to ``width``."""
    height = max(image.shape[0] for image in images)
    total = sum(image.shape[1] for image in images) + GAP * (len(images) - 1)
    picture = np.full((height, max(width, total), 3), BACKGROUND, np.uint8)
    x = 0
    for image in images:
        picture[: image.shape[0], x : x + image.shape[1]] = image
        x += image.shape[1] + GAP
    return picture


def stacked(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return ``images`` uint8 [h, w, 3] one below the other with gaps, padded to the widest."""
    width = max(image.shape[1] for image in images)
    gap = np.full((GAP, width, 3), BACKGROUND, np.uint8)
    parts: list[np.ndarray] = []
    for image in images:
        parts += [beside([image], width), gap]
    return np.concatenate(parts[:-1])


def nmr_chart(panels: Sequence[Panel], means: Sequence[Mean] = (), *, percent: int = 10) -> bytes:
    """Return a PNG of NMR over time, a panel an episode, and of its means beside them.

    Thin bars are the intervals of single frames, of series that are not dashed. Lines have a gap where a value
    is NaN. Raises ValueError without a panel.
    """
    if not panels:
        raise ValueError("a chart needs at least one panel, got none")
    figure = Figure(figsize=(12, 4.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    widths = [max(1e-3, panel.length) for panel in panels]
    widths.append(sum(widths) / 4)
    row = figure.subplots(1, len(widths), sharey=True, squeeze=False, gridspec_kw={"width_ratios": widths})[0]
    for axes, panel in zip(row[:-1], panels, strict=True):
        for item in panel.series:
            _plot(axes, item)
        axes.plot(
            *panel.chance, color="#333333", linestyle=":", linewidth=1.8, label="chance (nuisance area)"
        )
        axes.set_title(panel.title, fontsize=10)
        axes.set(ylim=(0, 1), xlabel="time in the episode (s)")
    _plot_means(row[-1], means)
    for axes in row:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    row[0].set_ylabel(f"NMR@{percent}")
    handles = {
        label: handle for axes in row for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
    )
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _plot(axes: Axes, item: Series) -> None:
    colour = LINE_COLOURS[item.colour % len(LINE_COLOURS)]
    if item.dashed:
        style: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 1.3, "alpha": 0.8}
    else:
        style = {"linewidth": 2.2, "marker": "o", "markersize": 4}
        axes.vlines(item.seconds, item.low, item.high, color=colour, alpha=0.25, linewidth=1)
    axes.plot(item.seconds, item.values, color=colour, label=item.name, **style)


def _plot_means(axes: Axes, means: Sequence[Mean]) -> None:
    for place, mean in enumerate(means):
        colour = LINE_COLOURS[mean.colour % len(LINE_COLOURS)]
        axes.vlines(place, mean.low, mean.high, color=colour, linewidth=2)
        axes.plot(
            place, mean.value, "o", markersize=8, color="white" if mean.dashed else colour, mec=colour, mew=2
        )
    axes.set_title("mean, 95 %", fontsize=10)
    axes.set_xlim(-0.7, len(means) - 0.3)
    axes.set_xticks(range(len(means)), [mean.name.replace(", ", "\n") for mean in means], fontsize=7.5)


def save_picture(image: np.ndarray, path: Path) -> None:
    """Write ``image`` uint8 [H, W, 3] RGB as PNG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    write_atomically(path, file.getvalue())


def save_animation(
    frames: Sequence[np.ndarray], path: Path, *, seconds: float = 0.25, limit: int = GIF_LIMIT
) -> tuple[float, int, int]:
    """Write ``frames`` uint8 [H, W, 3] of one size as an endless GIF of at most ``limit`` bytes.

    Gives up size, colours and frames until it fits and returns what was kept: (scale, colours, one frame in
    so many). Playing time stays the same. Raises ValueError without frames or when nothing fits.
    """
    if not frames:
        raise ValueError("an animation needs at least one frame, got none")
    for scale, colours, step in GIF_STEPS:
        data = _gif(frames[::step], scale, colours, seconds * step)
        if len(data) <= limit:
            write_atomically(path, data)
            return scale, colours, step
    raise ValueError(f"{len(frames)} frames do not fit into {limit} bytes; the smallest try has {len(data)}")


def _gif(frames: Sequence[np.ndarray], scale: float, colours: int, seconds: float) -> bytes:
    small = [resized(frame, max(1, round(frame.shape[1] * scale))) for frame in frames]
    # One palette for all frames: a palette a frame makes still parts flicker and grow.
    sample = np.concatenate([frame[::3, ::3] for frame in small[:: max(1, len(small) // 8)]])
    palette = Image.fromarray(sample).quantize(colours, Image.Quantize.MEDIANCUT, kmeans=1)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in small]
    file = io.BytesIO()
    options = {"save_all": True, "append_images": pictures[1:], "duration": round(1000 * seconds), "loop": 0}
    pictures[0].save(file, "GIF", optimize=False, **options)
    return file.getvalue()
