# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The cells of all views: which pixels each covers, and back from cells to pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from vla_iss_ros.iss.observation import Prepared


class Cells(Protocol):
    """What can be replaced in one observation, numbered from 0, and how values of it become maps of the cameras.

    ``words``: those of the instruction that are cells, in order; they come after the cameras' cells.
    """

    @property
    def count(self) -> int:
        """Cells in all."""

    @property
    def names(self) -> tuple[str, ...]:
        """Cameras in the order of the cells."""

    @property
    def words(self) -> tuple[str, ...]:
        """Words that are cells."""

    @property
    def positions(self) -> Tensor:
        """View, row and column of every cell, int64 [C, 3]; cells that are no neighbours lie far apart."""

    def maps(self, values: Tensor, size: tuple[int, int]) -> Tensor:
        """Return cell values [M, C] as maps of the cameras' images, float32 [M, V, h, w], each view at ``size``."""

    def by_view(self, values: Tensor) -> Mapping[str, Tensor]:
        """Split cell values [C] into one tensor [rows, columns] a camera."""

    def of_words(self, values: Tensor) -> Tensor:
        """Return the values of the words alone, [W] of [C]."""

    def images(self) -> Cells:
        """Return the cells of the cameras alone, which come first."""


@dataclass(frozen=True)
class View:
    """One camera's input: size in pixels and the box (top, left, height, width) that shows the camera's image."""

    name: str
    height: int
    width: int
    content: tuple[int, int, int, int]


@dataclass(frozen=True)
class CellGrid:
    """A grid of ``rows`` x ``columns`` cells on every view, numbered by view, then row, then column.

    With ``stitched`` the views lie side by side in one picture while cells are upsampled, so that neighbouring
    views bleed into each other at the seam; that is the published implementation's way, kept for comparison.
    """

    views: tuple[View, ...]
    rows: int
    columns: int
    stitched: bool = False

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise ValueError(f"a grid needs at least one cell a view, got {self.rows} x {self.columns}")
        if self.stitched and len({(view.height, view.width) for view in self.views}) > 1:
            sizes = {view.name: (view.height, view.width) for view in self.views}
            raise ValueError(f"mask_layout stitched needs views of one size, got {sizes}; use per_view")

    @classmethod
    def over(cls, prepared: Prepared, side: int, stitched: bool = False) -> CellGrid:
        """Lay ``side`` x ``side`` cells over the content of every view of ``prepared``."""
        views = []
        for name, image in prepared.images.items():
            height, width = image.shape[-2:]
            views.append(View(name, height, width, prepared.content.get(name, (0, 0, height, width))))
        return cls(tuple(views), side, side, stitched)

    @property
    def count(self) -> int:
        """Cells over all views."""
        return len(self.views) * self.rows * self.columns

    @property
    def names(self) -> tuple[str, ...]:
        """Cameras in the order of the cells."""
        return tuple(view.name for view in self.views)

    @property
    def words(self) -> tuple[str, ...]:
        """Return none: pixels have no words."""
        return ()

    def of_words(self, values: Tensor) -> Tensor:
        """Return none of ``values`` [C]."""
        return values[:0]

    def images(self) -> CellGrid:
        """Return all cells."""
        return self

    @property
    def positions(self) -> Tensor:
        """View, row and column of every cell, int64 [C, 3]."""
        indices = torch.arange(self.count)
        within = indices % (self.rows * self.columns)
        return torch.stack(
            [indices // (self.rows * self.columns), within // self.columns, within % self.columns], 1
        )

    def coverage(self, replaced: Tensor) -> dict[str, Tensor]:
        """Return how far each input pixel is replaced, camera name to float32 [N, 1, h, w] in [0, 1].

        ``replaced`` [N, C] is 1 at replaced cells. Edges are soft: bilinear upsampling as in RISE (Petsiuk et al.,
        2018). Pixels outside a view's content are never replaced.
        """
        return self.spread(replaced.device)(replaced)

    def spread(self, device: torch.device) -> Spread:
        """Return what :meth:`coverage` computes with, made once for many calls."""
        return Spread(self, device)

    def products(self, pictures: Mapping[str, Tensor]) -> Tensor:
        """Return the mean product of each two pictures over every cell's area, float [C, D, D].

        ``pictures``: camera name to float [D, channels, h, w]. A cell's area is that of ``adaptive_avg_pool2d`` over
        the view's content: where the grid does not divide it, neighbours share a line of pixels.
        """
        means = []
        for view in self.views:
            top, left, height, width = view.content
            content = pictures[view.name][..., top : top + height, left : left + width]
            (down, is_down), (across, is_across) = _areas(self.rows, height), _areas(self.columns, width)
            inside = is_down[:, :, None, None] & is_across
            lined_up = content[..., down.to(content.device), :][..., across.to(content.device)]
            if not bool(inside.all()):
                lined_up.mul_(inside.to(content.device))
            # [cells, D, channels x pixels]
            factor = lined_up.permute(2, 4, 0, 1, 3, 5).flatten(3).flatten(0, 1)
            count = inside.sum((1, 3)).flatten().to(content.device) * content.shape[1]
            means.append(factor @ factor.mT / count[:, None, None])
        return torch.cat(means)

    def maps(self, values: Tensor, size: tuple[int, int]) -> Tensor:
        """Return cell values [M, C] as maps of the cameras' images, float32 [M, V, h, w], each view at ``size``.

        Upsampling is linear, so a map made of cells equals the same map accumulated over pixels.
        """
        grids = self.grids(values.to(torch.float32))
        if not self.stitched:
            return _upsample(grids, size)
        side_by_side = grids.permute(0, 2, 1, 3).flatten(2)[:, None]
        picture = _upsample(side_by_side, (size[0], size[1] * len(self.views)))
        return picture.unflatten(-1, (len(self.views), size[1]))[:, 0].permute(0, 2, 1, 3)

    def by_view(self, values: Tensor) -> Mapping[str, Tensor]:
        """Split cell values [C] into one tensor [rows, columns] a camera."""
        return dict(zip(self.names, self.grids(values[None])[0], strict=False))

    def grids(self, values: Tensor) -> Tensor:
        """Return cell values [N, C] as [N, V, rows, columns]; raises ValueError for another number of cells."""
        if values.ndim != 2 or values.shape[1] != self.count:
            raise ValueError(f"cell values must be [N, {self.count}], got {list(values.shape)}")
        return values.unflatten(1, (len(self.views), self.rows, self.columns))


class Spread:
    """Spreads cells over the pixels of every view.

    Bilinear upsampling is linear and separable: two small matrix products a view do it, to rounding.
    """

    def __init__(self, cells: CellGrid, device: torch.device) -> None:
        self._cells = cells
        self._factors = [_factors(cells, index, device) for index in range(len(cells.views))]

    def __call__(self, replaced: Tensor) -> dict[str, Tensor]:
        """Return the coverage of ``replaced`` [N, C], camera name to float32 [N, 1, h, w]."""
        grids = self._cells.grids(replaced.to(torch.float32))
        if self._cells.stitched:
            grids = grids.permute(0, 2, 1, 3).flatten(2)[:, None].expand(-1, len(self._cells.views), -1, -1)
        return {
            # Rows first: the large product then comes out contiguous.
            view.name: ((down @ grids[:, index]) @ across)[:, None]
            for index, (view, (down, across)) in enumerate(zip(self._cells.views, self._factors, strict=True))
        }


def _factors(cells: CellGrid, index: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return how rows spread down [h, rows] and columns spread across [columns, w]; zero outside the content."""
    view = cells.views[index]
    if cells.stitched:
        whole = _linear(cells.columns * len(cells.views), view.width * len(cells.views), device)
        across = whole[:, index * view.width : (index + 1) * view.width].contiguous()
        return _linear(cells.rows, view.height, device).T.contiguous(), across
    top, left, height, width = view.content
    down = functional.pad(_linear(cells.rows, height, device), (top, view.height - top - height))
    across = functional.pad(_linear(cells.columns, width, device), (left, view.width - left - width))
    return down.T.contiguous(), across


def _areas(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Return the pixels of each of ``count`` cells along a side of ``size``, int64 [count, L], and which count, bool.

    Cells of fewer than L pixels are filled up with pixels that do not count.
    """
    cell = torch.arange(count)
    start, end = cell * size // count, -((cell + 1) * size // -count)
    pixel = start[:, None] + torch.arange(int((end - start).max()))
    return pixel.clamp_max(size - 1), pixel < end[:, None]


def _linear(count: int, size: int, device: torch.device) -> Tensor:
    """Return the linear upsampling of each of ``count`` unit vectors, float32 [count, size]."""
    units = torch.eye(count, device=device)[None]
    return functional.interpolate(units, size=size, mode="linear", align_corners=False)[0]


def _upsample(grids: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(grids, size=size, mode="bilinear", align_corners=False)
