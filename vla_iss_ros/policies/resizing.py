"""How a camera's image becomes the policy's input."""

from __future__ import annotations

from dataclasses import dataclass

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
