"""What an estimator takes in and gives.

Estimand (arXiv 2605.00321): ISS_c = E[delta | cell c replaced] while every other cell is replaced with probability
q. The contrast E[delta | c replaced] - E[delta | c kept] ranks cells alike and has no common offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vla_iss_ros.iss.plans import Plan


@dataclass(frozen=True)
class Estimate:
    """Saliency of C cells, float64 [C], all in units of delta.

    ``standard_error`` is that of the contrast; NaN where too few samples were drawn to tell.
    """

    iss: Tensor
    contrast: Tensor
    standard_error: Tensor
    samples: int


class Estimator(Protocol):
    """Takes blocks of interventions one after another and can be asked at any time.

    ``uses_moves``: whether ``update`` needs the moves. ``plan``: the complete list of interventions that it needs;
    None where it takes what a design draws.
    """

    uses_moves: bool
    plan: Plan | None

    def __init__(
        self,
        probability: float,
        independent: bool,
        positions: Tensor | None = None,
        changes: Tensor | None = None,
        pictures: int = 1,
    ) -> None: ...

    def update(
        self, replaced: Tensor, delta: Tensor, pictures: Tensor | None = None, moves: Tensor | None = None
    ) -> None:
        """Take in one block of n samples.

        ``replaced`` bool [n, C]; ``delta`` [n], the divergences that followed; ``pictures`` int64 [n], which baseline
        picture was used; ``moves`` [n, TA], how the action moved, normalised units, for those that regress it.
        """

    def estimate(self) -> Estimate:
        """Return the estimate from all blocks so far; raises ValueError before the first."""


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


class Samples:
    """All blocks taken in so far, checked, on the host in float64.

    A sample is a row of C bits and a number: ten thousand of them are smaller than one camera image in memory.
    """

    def __init__(self) -> None:
        self._replaced: list[Tensor] = []
        self._delta: list[Tensor] = []
        self._pictures: list[Tensor] = []
        self._moves: list[Tensor | None] = []

    def add(
        self, replaced: Tensor, delta: Tensor, pictures: Tensor | None, moves: Tensor | None = None
    ) -> None:
        """Take in one block; raises ValueError on another shape or on values that are not finite."""
        used = check_block(replaced, delta, pictures)
        self._replaced.append(replaced.to("cpu", torch.bool))
        self._delta.append(delta.to("cpu", torch.float64))
        self._pictures.append(used)
        self._moves.append(None if moves is None else moves.to("cpu", torch.float32))

    def together(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return float64 [N, C], float64 [N] and int64 [N]; raises ValueError before the first block."""
        if not self._delta:
            raise ValueError("no samples yet; call update first")
        return torch.cat(self._replaced).double(), torch.cat(self._delta), torch.cat(self._pictures)

    def moves(self) -> Tensor:
        """Return float64 [N, TA]; raises ValueError when a block came without."""
        known = [moves for moves in self._moves if moves is not None]
        if len(known) < len(self._moves):
            raise ValueError("this estimator regresses how the action moved; give update the moves [n, TA]")
        return torch.cat(known).double()

    @property
    def block_lengths(self) -> list[int]:
        """Samples of every block, in order."""
        return [len(block) for block in self._delta]


class CellEstimator:
    """What every estimator is made with.

    ``probability`` of replacement in (0, 1), ValueError otherwise; ``independent``: whether the design's samples are;
    ``positions`` int [C, 3], view, row and column of every cell; ``changes`` [C], root mean square change of every
    cell's pixels when it is replaced; ``pictures``: how many baseline pictures there are to choose from.
    """

    uses_moves = False
    plan: Plan | None = None

    def __init__(
        self,
        probability: float,
        independent: bool,
        positions: Tensor | None = None,
        changes: Tensor | None = None,
        pictures: int = 1,
    ) -> None:
        if not 0 < probability < 1:
            raise ValueError(f"the probability of replacement must be in (0, 1), got {probability}")
        self.probability = probability
        self.independent = independent
        self.pictures = pictures
        self._positions, self._changes = positions, changes


class SampledEstimator(CellEstimator):
    """An estimator that keeps its samples and computes when it is asked."""

    def __init__(
        self,
        probability: float,
        independent: bool,
        positions: Tensor | None = None,
        changes: Tensor | None = None,
        pictures: int = 1,
    ) -> None:
        super().__init__(probability, independent, positions, changes, pictures)
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
