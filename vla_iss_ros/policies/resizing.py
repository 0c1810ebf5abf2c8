# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How a camera's image becomes the policy's input."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

RULES = ("area", "bilinear", "letterbox")


@dataclass(frozen=True)
class Resize:
    """Brings images to ``size`` (h, w).

    ``rule``: area (every pixel is the mean of what it covers), bilinear (``interpolate`` of torch without
    antialiasing), or letterbox: bilinear into the box ``content`` (top, left, height, width), the shade ``pad`` in
    [0, 1] around it.
    """

    size: tuple[int, int]
    rule: str
    content: tuple[int, int, int, int] | None = None
    pad: float = 0.0

    def __call__(self, images: Tensor) -> Tensor:
        """Return images float32 [N, 3, H, W] in [0, 1] as [N, 3, h, w].

        Raises ValueError for a letterbox whose content has other proportions than the images: they would be
        distorted, as the policy never saw them.
        """
        if self.content is None:
            return _scale(images, self.size, self.rule)
        top, left, height, width = self.content
        _require_proportions(images, height, width)
        inner = _scale(images, (height, width), "bilinear")
        below, right = self.size[0] - top - height, self.size[1] - left - width
        return functional.pad(inner, (left, right, top, below), value=self.pad)


def area_of_bytes(image: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Return an image uint8 [H, W, 3] area-averaged to ``size`` (h, w), float32 [1, 3, h, w] in [0, 1].

    The rule ``area`` to the last digits of float32, in half its time on a CPU: sums of bytes are exact, and a table of
    them (Crow, 1984) gives every pixel's with four look-ups.
    """
    # Sums of bytes fit 32 bits up to 8 million pixels.
    table = cv2.integral(image, sdepth=cv2.CV_32S if image[..., 0].size < 2**23 else cv2.CV_64F)
    (top, bottom), (left, right) = _windows(image.shape[0], size[0]), _windows(image.shape[1], size[1])
    rows = table[bottom] - table[top]
    sums = rows[:, right] - rows[:, left]
    count = (bottom - top)[:, None] * (right - left)
    means = (sums / (255.0 * count[..., None])).astype(np.float32)
    return torch.from_numpy(means).permute(2, 0, 1)[None].contiguous()


def _windows(whole: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each of ``parts`` windows over ``whole`` pixels begins and ends, as ``adaptive_avg_pool2d`` cuts."""
    number = np.arange(parts)
    return number * whole // parts, -((number + 1) * whole // -parts)


def _scale(images: Tensor, size: tuple[int, int], rule: str) -> Tensor:
    if rule == "area":
        return functional.interpolate(images, size=size, mode="area")
    return functional.interpolate(images, size=size, mode="bilinear", align_corners=False)


def _require_proportions(images: Tensor, height: int, width: int) -> None:
    scale = max(images.shape[-2] / height, images.shape[-1] / width)
    off = max(abs(images.shape[-2] / scale - height), abs(images.shape[-1] / scale - width))
    # Tools round the content's sides down or to the nearest: one pixel at most.
    if off > 1:
        raise ValueError(
            f"letterbox content of {height} x {width} does not fit an image of {images.shape[-2]} x "
            f"{images.shape[-1]}; set content in the manifest to the box that this camera's image fills"
        )
