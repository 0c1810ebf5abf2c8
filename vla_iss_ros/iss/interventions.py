# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""do(cell := baseline): what replaced pixels show instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.observation import Prepared


class Baseline(Protocol):
    """Makes the pictures that replaced cells are taken from."""

    def pictures(self, prepared: Prepared, instruction: str) -> dict[str, Tensor]:
        """Return camera name to float32 [D, 3, h, w]; row d of all cameras belongs together."""


class Blur:
    """The view itself, blurred by a Gaussian; the paper's baseline.

    It keeps the place and the mean colour of what it covers: a cause of low spatial frequency (the colour of a wall,
    where a coloured poster hangs) stays visible to the policy and gets no saliency.
    """

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def pictures(self, prepared: Prepared, instruction: str) -> dict[str, Tensor]:
        """Return every view blurred, D = 1; ``sigma`` is a share of the view's width."""
        return {
            name: _gaussian(image, self.sigma * image.shape[-1]) for name, image in prepared.images.items()
        }


class MeanColour:
    """One flat picture a view, of the view's mean colour."""

    def pictures(self, prepared: Prepared, instruction: str) -> dict[str, Tensor]:
        """Return flat pictures, D = 1."""
        return {
            name: image.mean((2, 3), keepdim=True).expand_as(image) for name, image in prepared.images.items()
        }


class Donor:
    """Pixels of the same camera in other recorded frames; stays close to what the policy was trained on.

    ``donors`` are prepared by the same policy, ``instructions`` are theirs. Every camera takes its pixels from the
    same donor moment. Where at least ``ENOUGH`` donors share the observation's instruction only those are used:
    another task's scene would add objects that the policy never saw beside this instruction.
    """

    ENOUGH = 3

    def __init__(self, donors: Sequence[Prepared], instructions: Sequence[str]) -> None:
        if not donors:
            raise ValueError("baseline donor needs at least one donor frame, got none")
        self._pictures = {
            name: torch.cat([donor.images[name] for donor in donors]) for name in donors[0].images
        }
        self._instructions = tuple(instructions)

    def pictures(self, prepared: Prepared, instruction: str) -> dict[str, Tensor]:
        """Return the donor frames, D of them; raises ValueError when they do not fit the observation."""
        for name, image in prepared.images.items():
            donors = self._pictures.get(name)
            if donors is None or donors.shape[1:] != image.shape[1:]:
                found = "none" if donors is None else list(donors.shape[1:])
                raise ValueError(
                    f"donor frames of camera '{name}' must be {list(image.shape[1:])}, got {found}"
                )
        same = [index for index, text in enumerate(self._instructions) if text == instruction]
        rows = same if len(same) >= self.ENOUGH else list(range(len(self._instructions)))
        return {name: self._pictures[name][rows] for name in prepared.images}


def make_baseline(settings: Any, donor: Donor | None) -> Baseline:
    """Return the baseline that ``settings`` name; ``donor`` is needed for the one of that name."""
    if settings.baseline == "blur":
        return Blur(settings.blur_sigma)
    if settings.baseline == "mean_colour":
        return MeanColour()
    assert donor is not None
    return donor


def choose_pictures(count: int, pictures: int, generator: torch.Generator) -> Tensor:
    """Return int64 [count], which baseline picture each intervention uses: all equally often, in random order."""
    order = torch.randperm(pictures, generator=generator)
    return order[torch.arange(count) % pictures][torch.randperm(count, generator=generator)]


def composite(image: Tensor, differences: Tensor, chosen: Tensor, coverage: Tensor, quantise: bool) -> Tensor:
    """Return ``image + differences[chosen] coverage``, float32 [N, 3, h, w].

    ``image`` [1, 3, h, w], ``differences`` [D, 3, h, w] from it to what replaced cells show, ``chosen`` int64 [N],
    ``coverage`` [N, 1, h, w]. Rows of zero coverage are the image, bit for bit. ``quantise`` cuts to 8 bits as the
    published implementation does.
    """
    # Mixed in place: memory traffic is all that this costs.
    mixed = differences.index_select(0, chosen)
    torch.addcmul(image, mixed, coverage, out=mixed)
    return mixed.clamp_(0, 1).mul_(255).floor_().div_(255) if quantise else mixed


def products(prepared: Prepared, pictures: Mapping[str, Tensor], cells: CellGrid) -> Tensor:
    """Return the mean product of the changes that each two pictures bring to a cell's pixels, float32 [C, D, D].

    The diagonal holds mean squared changes, in squared units of pixels in [0, 1]. It says how far what the policy
    sees would change, not whether the policy heeds it.
    """
    return cells.products({name: pictures[name] - image for name, image in prepared.images.items()})


def _gaussian(images: Tensor, sigma: float) -> Tensor:
    """Blur [N, 3, h, w] by a Gaussian of ``sigma`` pixels cut at three sigma, borders mirrored (reflect 101)."""
    radius = min(round(3 * sigma), images.shape[-1] - 1, images.shape[-2] - 1)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
    groups = images.shape[1]
    padded = functional.pad(images, (radius, radius, radius, radius), mode="reflect")
    rows = functional.conv2d(padded, kernel[:, :, None, :], groups=groups)
    return functional.conv2d(rows, kernel[:, :, :, None], groups=groups)
