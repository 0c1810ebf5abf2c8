# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How LeRobot's policies bring a camera's image to the size that they see."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn import functional

Box = tuple[int, int, int, int]


class ResizeRule(Protocol):
    """Brings images to ``size`` (h, w); ``described`` says how."""

    size: tuple[int, int]
    described: str

    def __call__(self, images: Tensor) -> Tensor:
        """Return images float32 [N, 3, H, W] in [0, 1] as [N, 3, h, w]."""

    def content(self, height: int, width: int) -> Box | None:
        """Return the box (top, left, height, width) that an image fills; None for all of it."""


class Native:
    """Of a policy that takes images as the cameras gave them when it was trained.

    Images of other sizes and the same proportions are area-averaged to that size. Raises ValueError for images of
    other proportions: they would be distorted, as the policy never saw them.
    """

    described = "as recorded; other sizes of the same proportions: area"

    def __init__(self, size: tuple[int, int], camera: str) -> None:
        self.size, self._camera = size, camera

    def __call__(self, images: Tensor) -> Tensor:
        """Return the images at the size that the policy was trained on."""
        height, width = images.shape[-2:]
        if (height, width) == self.size:
            return images
        if abs(height * self.size[1] / width - self.size[0]) > 1:
            raise ValueError(
                f"camera '{self._camera}' gives {height} x {width}, the policy was trained on {self.size[0]} x "
                f"{self.size[1]}; give images of these proportions"
            )
        return functional.interpolate(images, size=self.size, mode="area")

    def content(self, height: int, width: int) -> None:
        """Return None: images fill the input."""
        return


class Letterbox:
    """Bilinear into a box of the image's proportions, black around it.

    ``centred``: as openpi does it (pi0, pi0.5), else the box is at the bottom right (SmolVLA). The same arithmetic as
    LeRobot's ``resize_with_pad_torch`` and ``resize_with_pad``.
    """

    def __init__(self, size: tuple[int, int], centred: bool) -> None:
        self.size, self._centred = size, centred
        self.described = "letterbox, centred" if centred else "letterbox, padded at the left and the top"

    def content(self, height: int, width: int) -> Box:
        """Return the box (top, left, height, width) that an image fills; raises ValueError where it has no pixel."""
        ratio = max(width / self.size[1], height / self.size[0])
        inner = int(height / ratio), int(width / ratio)
        if 0 in inner:
            raise ValueError(
                f"an image of {height} x {width} leaves no pixel in an input of {self.size[0]} x {self.size[1]}; "
                "crop it before"
            )
        free = self.size[0] - inner[0], self.size[1] - inner[1]
        top, left = (free[0] // 2, free[1] // 2) if self._centred else free
        return top, left, *inner

    def __call__(self, images: Tensor) -> Tensor:
        """Return the letterboxed images."""
        top, left, height, width = self.content(*images.shape[-2:])
        inner = functional.interpolate(images, size=(height, width), mode="bilinear", align_corners=False)
        below, right = self.size[0] - top - height, self.size[1] - left - width
        return functional.pad(inner, (left, right, top, below), value=0.0)
