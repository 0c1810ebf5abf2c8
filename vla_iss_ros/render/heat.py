# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The heat over an image: colours and opacity of a contrast.

Drawn with OpenCV, for it is drawn for every camera of every explained frame.
"""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

COLOUR_MAPS = {
    "inferno": cv2.COLORMAP_INFERNO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "magma": cv2.COLORMAP_MAGMA,
}


def colours(values: np.ndarray, colour_map: str) -> np.ndarray:
    """Return the colours of ``values`` [H, W] in [0, 1], uint8 [H, W, 3] RGB.

    Raises ValueError for an unknown colour map.
    """
    if colour_map not in COLOUR_MAPS:
        raise ValueError(f"colour_map must be one of {', '.join(COLOUR_MAPS)}, got '{colour_map}'")
    bytes_ = np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)
    return cv2.applyColorMap(bytes_, _table(colour_map))


@functools.lru_cache(maxsize=len(COLOUR_MAPS))
def _table(colour_map: str) -> np.ndarray:
    """Return the 256 colours of a map, uint8 [256, 1, 3] RGB."""
    steps = np.arange(256, dtype=np.uint8)[:, None]
    return cv2.cvtColor(cv2.applyColorMap(steps, COLOUR_MAPS[colour_map]), cv2.COLOR_BGR2RGB)


def blend_heat(
    image: np.ndarray,
    contrast: np.ndarray,
    scale: float,
    *,
    alpha: float = 0.6,
    colour_map: str = "inferno",
    decades: float = 0.0,
) -> np.ndarray:
    """Return ``image`` uint8 [H, W, 3] RGB with the positive part of ``contrast`` float [H, W] over it.

    Opacity grows in proportion to the contrast, up to ``alpha`` at ``scale`` and above. With ``decades`` > 0
    the axis is logarithmic: colour and opacity start that many decades below ``scale``, and opacity is full
    half way up, for the colours below are dark and would hardly be seen. Where the contrast is negative, zero
    or not finite the image is untouched. Raises ValueError for shapes or numbers that do not fit.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
    if contrast.shape != image.shape[:2]:
        raise ValueError(
            f"contrast must have the image's size {list(image.shape[:2])}, got {list(contrast.shape)}"
        )
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be finite and above 0, got {scale}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}")
    if not (math.isfinite(decades) and decades >= 0):
        raise ValueError(f"decades must be finite and not negative, got {decades}")
    strength = _without_infinities(contrast.astype(np.float32, copy=False))
    if decades > 0:
        strength = 1 + np.log10(np.maximum(strength / np.float32(scale), 10.0**-decades)) / decades
        scale = 1.0
    positive = cv2.threshold(strength, 0, 0, cv2.THRESH_TOZERO)[1]
    steps = cv2.convertScaleAbs(positive, alpha=255 / scale)  # rounds, and cuts at 255
    kept, heat = _blending_tables(colour_map, alpha, decades > 0)
    image = cv2.multiply(image, cv2.applyColorMap(steps, kept), scale=1 / 255)
    return cv2.add(image, cv2.applyColorMap(steps, heat))


@functools.lru_cache(maxsize=64)
def _blending_tables(colour_map: str, alpha: float, logarithmic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return, for 256 strengths, what is kept of the image (of 255) and the heat added, uint8 [256, 1, 3]."""
    strength = np.linspace(0, 1, 256)[:, None, None]
    opacity = alpha * (np.minimum(2 * strength, 1) if logarithmic else strength)
    kept = np.rint(255 * (1 - opacity)).astype(np.uint8).repeat(3, axis=2)
    heat = np.rint(colours(strength[..., 0], colour_map) * opacity).astype(np.uint8)
    return kept, heat


def _without_infinities(values: np.ndarray) -> np.ndarray:
    """Return float32 ``values`` with zeros where they are not finite; the array itself where all are."""
    return values if np.isfinite(values).all() else np.nan_to_num(values, nan=0, posinf=0, neginf=0)
