# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an estimator takes in and gives.

Estimand (arXiv 2605.00321): ISS_c = E[delta | cell c replaced] while every other cell is replaced with probability
q. The contrast E[delta | c replaced] - E[delta | c kept] ranks cells alike and has no common offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vla_iss_ros.iss.estimators.memory import Memory
from vla_iss_ros.iss.plans import Plan


@dataclass(frozen=True)
class Estimate:
    """Saliency of C cells, float64 [C], all in units of delta.

    ``standard_error`` is that of the contrast; NaN where too few samples were drawn to tell. ``draws`` [S, C], where an
    estimator has them: contrasts as they may be, with the errors of all cells together.
    """

    iss: Tensor
    contrast: Tensor
    standard_error: Tensor
    samples: int
    draws: Tensor | None = None


class Estimator(Protocol):
    """Takes blocks of interventions one after another and can be asked at any time.

    ``uses_moves``: whether ``update`` needs the moves. ``plan``: the complete list of interventions that it needs;
    None where it takes what a design draws. ``seed`` fixes whatever it draws itself.
    """

    uses_moves: bool
    plan: Plan | None
    seed: int

    def __init__(
        self,
        probability: float,
        independent: bool,
        positions: Tensor | None = None,
        products: Tensor | None = None,
        pictures: int = 1,
    ) -> None: ...

    def update(
        self, replaced: Tensor, delta: Tensor, pictures: Tensor | None = None, moves: Tensor | None = None
    ) -> None:
        """Take in one block of n samples.

        ``replaced`` bool [n, C]; ``delta`` [n], the divergences that followed; ``pictures`` int64 [n], which baseline
        picture was used; ``moves`` [n, TA], how the action moved, normalised units, for those that regress it.
        """

    def prepare(self) -> None:
        """Hear that more blocks follow; there is time until then."""

    def estimate(self) -> Estimate:
        """Return the estimate from all blocks so far; raises ValueError before the first."""

    def recall(self, memory: Memory) -> None:
        """Build on earlier frames; called before the first block."""

    def memory(self) -> Memory | None:
        """Return what the next frame can build on; None where the estimator carries nothing."""


def check_block(replaced: Tensor, delta: Tensor, pictures: Tensor | None, most: int | None = None) -> Tensor:
    """Return which baseline picture each sample used, int64 [n] on the host; without ``pictures`` the first.

    Raises ValueError unless ``replaced`` is [n, C] and ``delta`` [n], finite, n > 0, and the pictures below ``most``.
    """
    if replaced.ndim != 2 or delta.shape != replaced.shape[:1] or not len(delta):
        raise ValueError(
            f"need [n, C] and [n] with n > 0, got {list(replaced.shape)} and {list(delta.shape)}"
        )
    if not torch.isfinite(delta).all():
        raise ValueError("divergences must be finite; the policy or its input is broken")
    used = torch.zeros(len(delta), dtype=torch.int64) if pictures is None else pictures.to("cpu")
    if most is not None and int(used.max()) >= most:
        raise ValueError(
            f"there are {most} baseline pictures, got number {int(used.max())}; numbers start at 0"
        )
    return used


class _Rows:
    """Rows of one kind in one array, which doubles when it is full.

    Thousands of small tensors kept between the large ones of a run would leave the heap in pieces.
    """

    LEAST = 64

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._array: Tensor | None = None
        self._count = 0

    def fits(self, rows: Tensor) -> bool:
        """Return whether ``rows`` [n, ...] are shaped like those before."""
        return self._array is None or rows.shape[1:] == self._array.shape[1:]

    def append(self, rows: Tensor) -> None:
        """Copy ``rows`` [n, ...] behind those before."""
        needed = self._count + len(rows)
        if self._array is None or needed > len(self._array):
            # Not in inference mode: who goes on after leaving it may still write to the array.
            with torch.inference_mode(False):
                larger = torch.empty(
                    max(2 * self._count, needed, self.LEAST), *rows.shape[1:], dtype=self._dtype
                )
            if self._array is not None:
                larger[: self._count] = self.rows()
            self._array = larger
        self._array[self._count : needed] = rows
        self._count = needed

    def rows(self) -> Tensor:
        """Return all rows [N, ...], a view; raises ValueError before the first."""
        if self._array is None:
            raise ValueError("no samples yet; call update first")
        return self._array[: self._count]


class Samples:
    """All blocks taken in so far, checked, on the host.

    A sample is a row of C bits and a number: ten thousand of them are smaller than one camera image in memory.
    """

    def __init__(self) -> None:
        self._replaced, self._delta = _Rows(torch.bool), _Rows(torch.float64)
        self._pictures, self._moves = _Rows(torch.int64), _Rows(torch.float32)
        self._lengths: list[int] = []
        self._all_moves = True

    def add(
        self, replaced: Tensor, delta: Tensor, pictures: Tensor | None, moves: Tensor | None = None
    ) -> None:
        """Take in one block; raises ValueError on another shape or on values that are not finite."""
        used = check_block(replaced, delta, pictures)
        if not self._replaced.fits(replaced):
            raise ValueError(f"blocks must be of the same cells, got one of {replaced.shape[1]} after others")
        if moves is not None and (moves.ndim != 2 or len(moves) != len(delta) or not self._moves.fits(moves)):
            raise ValueError(
                f"moves must be [{len(delta)}, TA] with one TA for all blocks, got {list(moves.shape)}"
            )
        self._replaced.append(replaced)
        self._delta.append(delta)
        self._pictures.append(used)
        self._lengths.append(len(delta))
        if moves is None:
            self._all_moves = False
        else:
            self._moves.append(moves)

    def together(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return float64 [N, C], float64 [N] and int64 [N]; raises ValueError before the first block."""
        return self._replaced.rows().double(), self._delta.rows().clone(), self._pictures.rows().clone()

    def moves(self) -> Tensor:
        """Return float64 [N, TA]; raises ValueError when a block came without."""
        if not self._all_moves:
            raise ValueError("this estimator regresses how the action moved; give update the moves [n, TA]")
        return self._moves.rows().double()

    @property
    def block_lengths(self) -> list[int]:
        """Samples of every block, in order."""
        return list(self._lengths)


class CellEstimator:
    """What every estimator is made with.

    ``probability`` of replacement in (0, 1); ``independent``: whether the design's samples are; ``positions`` int
    [C, 3], view, row and column of every cell; ``products`` float [C, D, D], mean product of the changes that two
    baseline pictures bring to a cell's pixels (:func:`vla_iss_ros.iss.interventions.products`); ``pictures``: how
    many baseline pictures there are to choose from. Raises ValueError on another probability and other products.
    """

    uses_moves = False
    plan: Plan | None = None
    seed = 0

    def __init__(
        self,
        probability: float,
        independent: bool,
        positions: Tensor | None = None,
        products: Tensor | None = None,
        pictures: int = 1,
    ) -> None:
        if not 0 < probability < 1:
            raise ValueError(f"the probability of replacement must be in (0, 1), got {probability}")
        if products is not None and (products.ndim != 3 or products.shape[1] != products.shape[2]):
            raise ValueError(f"products must be [C, D, D], got {list(products.shape)}")
        self.probability = probability
        self.independent = independent
        self.pictures = pictures
        self._positions, self._products = positions, products
        self._begin()

    def _begin(self) -> None:
        """Make what a kind of estimator keeps beside this."""

    @property
    def changes(self) -> Tensor | None:
        """Root mean square change of every cell's pixels when it is replaced, [C]; None where it is not known."""
        return None if self._products is None else self._products.diagonal(dim1=1, dim2=2).mean(1).sqrt()

    def prepare(self) -> None:
        """Do nothing: there is nothing to learn ahead of the estimate."""

    def recall(self, memory: Memory) -> None:
        """Do nothing: every frame is estimated by itself."""

    def memory(self) -> Memory | None:
        """Return None: nothing is carried to the next frame."""
        return None


class SampledEstimator(CellEstimator):
    """An estimator that keeps its samples and computes when it is asked."""

    def _begin(self) -> None:
        self._samples = Samples()

    def update(
        self, replaced: Tensor, delta: Tensor, pictures: Tensor | None = None, moves: Tensor | None = None
    ) -> None:
        """Take in a block; raises ValueError on another shape or on values that are not finite."""
        self._samples.add(replaced, delta, pictures, moves if self.uses_moves else None)


def picture_groups(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return each sample's group int64 [N], and the groups' sizes, of samples that used the same picture."""
    _, place, count = pictures.unique(return_inverse=True, return_counts=True)
    return place, count


def group_means(values: Tensor, place: Tensor, count: Tensor) -> Tensor:
    """Return the mean of ``values`` [N, ...] in each sample's group, same shape as ``values``."""
    sums = torch.zeros(len(count), *values.shape[1:], dtype=values.dtype).index_add_(0, place, values)
    return (sums / count.view(-1, *[1] * (values.ndim - 1)))[place]
