# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The cells of token space: blocks of image patches and words, which tokens each covers, and back to pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, Encoded, Segment

# Columns between two words; so far apart, no estimator takes them for neighbours.
APART = 64


@dataclass(frozen=True)
class TokenView:
    """One camera's blocks: ``rows`` x ``columns`` of them over the tokens that show the camera's image.

    ``start``: the camera's first token. ``grid``: rows and columns of its tokens. ``first`` and ``last``: (row, column)
    of the first and one past the last token whose centre lies in ``content`` (top, left, height, width; tokens).
    """

    name: str
    start: int
    grid: tuple[int, int]
    content: tuple[float, float, float, float]
    first: tuple[int, int]
    last: tuple[int, int]
    block: int

    @classmethod
    def of(cls, segment: Segment, block: int) -> TokenView:
        """Lay blocks over a camera's segment; raises ValueError when no token lies in its content."""
        assert segment.grid is not None
        rows, columns = segment.grid
        content = segment.content or (0.0, 0.0, float(rows), float(columns))
        top, left, height, width = content
        # A token belongs to the image when its centre does; the rest is padding.
        first = (max(math.ceil(top - 0.5), 0), max(math.ceil(left - 0.5), 0))
        last = (min(math.ceil(top + height - 0.5), rows), min(math.ceil(left + width - 0.5), columns))
        if first[0] >= last[0] or first[1] >= last[1]:
            raise ValueError(f"no token of camera '{segment.name}' lies in its content {content}")
        return cls(segment.name, segment.start, segment.grid, content, first, last, block)

    @property
    def rows(self) -> int:
        """Blocks from top to bottom."""
        return -(-(self.last[0] - self.first[0]) // self.block)

    @property
    def columns(self) -> int:
        """Blocks from left to right."""
        return -(-(self.last[1] - self.first[1]) // self.block)

    def owners(self) -> tuple[Tensor, Tensor]:
        """Return the tokens in the content, int64 [t], and the block of each, numbered row by row, int64 [t]."""
        row = torch.arange(self.first[0], self.last[0])
        column = torch.arange(self.first[1], self.last[1])
        token = self.start + row[:, None] * self.grid[1] + column
        block = (row - self.first[0])[:, None] // self.block * self.columns
        block = block + (column - self.first[1]) // self.block
        return token.flatten(), block.flatten()

    def interpolation(self, axis: int, size: int) -> Tensor:
        """Return how blocks along an axis (0 down, 1 across) spread over ``size`` pixels, float32 [size, blocks].

        Linear between the blocks' centres, constant beyond the outer ones, as ``interpolate`` does on a regular grid.
        """
        first, last = self.first[axis], self.last[axis]
        edges = torch.arange(first, last, self.block, dtype=torch.float64)
        centres = (edges + (edges + self.block).clamp_max(last)) / 2
        begin, length = self.content[axis], self.content[axis + 2]
        places = begin + (torch.arange(size, dtype=torch.float64) + 0.5) * length / size
        if len(centres) == 1:
            return torch.ones(size, 1)
        after = torch.searchsorted(centres, places).clamp(1, len(centres) - 1)
        share = ((places - centres[after - 1]) / (centres[after] - centres[after - 1])).clamp(0, 1)
        matrix = torch.zeros(size, len(centres), dtype=torch.float64)
        matrix.scatter_(1, (after - 1)[:, None], (1 - share)[:, None])
        matrix.scatter_(1, after[:, None], share[:, None])
        return matrix.float()


@dataclass(frozen=True)
class TokenCells:
    """Blocks of ``block`` x ``block`` image patches of every camera, then the words of the instruction.

    Padding around a camera's image belongs to no cell and is never replaced; nor are tokens of the state and of the
    prompt's template. ``length``: tokens in all; ``word_tokens``: every word's tokens.
    """

    views: tuple[TokenView, ...]
    words: tuple[str, ...]
    word_tokens: tuple[tuple[int, ...], ...]
    length: int

    @classmethod
    def over(cls, encoded: Encoded, block: int) -> TokenCells:
        """Lay cells over one observation's tokens; raises ValueError when there is no camera among them."""
        views = tuple(TokenView.of(segment, block) for segment in encoded.segments if segment.kind == CAMERA)
        if not views:
            raise ValueError("the policy gives no image tokens; set space to pixel")
        words: list[str] = []
        tokens: list[tuple[int, ...]] = []
        for segment in encoded.segments:
            if segment.kind != INSTRUCTION:
                continue
            for index, word in enumerate(segment.words):
                words.append(word)
                tokens.append(
                    tuple(
                        segment.start + offset
                        for offset, owner in enumerate(segment.word_of)
                        if owner == index
                    )
                )
        return cls(views, tuple(words), tuple(tokens), encoded.tokens.shape[1])

    @property
    def image_count(self) -> int:
        """Cells over all cameras."""
        return sum(view.rows * view.columns for view in self.views)

    @property
    def count(self) -> int:
        """Cells in all."""
        return self.image_count + len(self.words)

    @property
    def names(self) -> tuple[str, ...]:
        """Cameras in the order of the cells."""
        return tuple(view.name for view in self.views)

    @cached_property
    def owners(self) -> Tensor:
        """The cell of every token, int64 [L]; -1 where a token belongs to none."""
        owner, done = torch.full((self.length,), -1), 0
        for view in self.views:
            token, block = view.owners()
            owner[token] = done + block
            done += view.rows * view.columns
        for index, tokens in enumerate(self.word_tokens):
            owner[list(tokens)] = done + index
        return owner

    @property
    def positions(self) -> Tensor:
        """View, row and column of every cell, int64 [C, 3]; words are a view of their own, far from each other."""
        places = [
            (number, row, column)
            for number, view in enumerate(self.views)
            for row in range(view.rows)
            for column in range(view.columns)
        ]
        places += [(len(self.views), 0, APART * index) for index in range(len(self.words))]
        return torch.tensor(places)

    def tokens(self, replaced: Tensor) -> Tensor:
        """Return which tokens are replaced, bool [N, L] of cells bool [N, C], on the device of ``replaced``."""
        owner = self.owners.to(replaced.device)
        return replaced.index_select(1, owner.clamp_min(0)) & (owner >= 0)

    def means(self, values: Tensor) -> Tensor:
        """Return the mean over each cell's tokens of ``values`` [L], float64 [C]."""
        owner = self.owners
        return self.sums(values) / torch.bincount(owner[owner >= 0], minlength=self.count)

    def sums(self, values: Tensor) -> Tensor:
        """Return the sum over each cell's tokens of ``values`` [L], float64 [C]."""
        owner, values = self.owners, values.double().cpu()
        inside = owner >= 0
        return torch.zeros(self.count, dtype=torch.float64).index_add_(0, owner[inside], values[inside])

    def maps(self, values: Tensor, size: tuple[int, int]) -> Tensor:
        """Return cell values [M, C] as maps of the cameras' images, float32 [M, V, h, w], each view at ``size``."""
        maps, values = [], values.float()
        for view, part in zip(self.views, self._split(values), strict=True):
            down, across = view.interpolation(0, size[0]), view.interpolation(1, size[1])
            grid = part.unflatten(1, (view.rows, view.columns))
            maps.append(down.to(grid) @ grid @ across.T.to(grid))
        return torch.stack(maps, 1)

    def by_view(self, values: Tensor) -> Mapping[str, Tensor]:
        """Split cell values [C] into one tensor [rows, columns] a camera."""
        parts = self._split(values[None])
        return {
            view.name: part[0].unflatten(0, (view.rows, view.columns))
            for view, part in zip(self.views, parts, strict=True)
        }

    def of_words(self, values: Tensor) -> Tensor:
        """Return the values of the words alone, [W] of [C]."""
        return values[self.image_count :]

    def images(self) -> TokenCells:
        """Return the cells of the cameras alone, which come first."""
        return TokenCells(self.views, (), (), self.length)

    def normalised_by_view(self, values: Tensor) -> Tensor:
        """Return ``values`` [C] over their mean within each camera and within the words: what modalities can share."""
        view = self.positions[:, 0]
        count = torch.bincount(view).to(values)
        mean = torch.zeros(len(count)).to(values).index_add_(0, view, values) / count
        return values / mean[view].clamp_min(torch.finfo(torch.float32).tiny)

    def _split(self, values: Tensor) -> list[Tensor]:
        if values.ndim != 2 or values.shape[1] != self.count:
            raise ValueError(f"cell values must be [M, {self.count}], got {list(values.shape)}")
        sizes = [view.rows * view.columns for view in self.views]
        return list(values[:, : self.image_count].split(sizes, 1))
