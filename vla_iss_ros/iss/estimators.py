"""From interventions and divergences to a saliency per cell with its standard error.

Estimand (arXiv 2605.00321): ISS_c = E[delta | cell c replaced] while every other cell is replaced with probability
q. The contrast E[delta | c replaced] - E[delta | c kept] ranks cells alike and has no common offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


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
    """Takes blocks of interventions one after another and can be asked at any time."""

    def update(self, replaced: Tensor, delta: Tensor) -> None:
        """Take in bool [n, C] and the divergences [n] that followed."""

    def estimate(self) -> Estimate:
        """Return the estimate from all blocks so far; raises ValueError before the first."""


class _ByArms:
    """Means of delta over the samples that replace a cell and over those that keep it.

    ``independent`` designs get the standard error from the spread of the samples, all others from the spread of the
    estimate over blocks. Blocks are few, so a cell's variance is drawn towards the mean variance of all cells
    (moderated variance, Smyth 2004) with the weight of ``PRIOR_BLOCKS`` blocks.
    """

    PRIOR_BLOCKS = 4.0

    def __init__(self, probability: float, independent: bool) -> None:
        if not 0 < probability < 1:
            raise ValueError(f"the probability of replacement must be in (0, 1), got {probability}")
        self.probability = probability
        self.independent = independent
        self._replaced: list[Tensor] = []
        self._delta: list[Tensor] = []

    def update(self, replaced: Tensor, delta: Tensor) -> None:
        """Take in bool [n, C] and float [n]; raises ValueError on another shape or on values that are not finite."""
        if replaced.ndim != 2 or delta.shape != replaced.shape[:1] or not len(delta):
            raise ValueError(
                f"need [n, C] and [n] with n > 0, got {list(replaced.shape)} and {list(delta.shape)}"
            )
        if not torch.isfinite(delta).all():
            raise ValueError("divergences must be finite; the policy or its input is broken")
        self._replaced.append(replaced.to("cpu", torch.float64))
        self._delta.append(delta.to("cpu", torch.float64))

    def estimate(self) -> Estimate:
        """Return ISS, contrast and standard error of all blocks so far."""
        if not self._delta:
            raise ValueError("no samples yet; call update first")
        replaced, delta = torch.cat(self._replaced), torch.cat(self._delta)
        iss, kept = self._arms(replaced, delta)
        error = (
            self._independent_error(replaced, delta, iss, kept) if self.independent else self._block_error()
        )
        return Estimate(iss, iss - kept, error, len(delta))

    def _arms(self, replaced: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError  # abstract

    def _independent_error(self, replaced: Tensor, delta: Tensor, iss: Tensor, kept: Tensor) -> Tensor:
        raise NotImplementedError  # abstract

    def _block_error(self) -> Tensor:
        contrasts, weights = [], []
        for replaced, delta in zip(self._replaced, self._delta, strict=False):
            iss, kept = self._arms(replaced, delta)
            contrasts.append(iss - kept)
            weights.append(float(len(delta)))
        blocks = torch.stack(contrasts)
        usable = torch.isfinite(blocks).all(0)
        if len(blocks) < 2 or not usable.any():
            return torch.full_like(blocks[0], float("nan"))
        weight = torch.tensor(weights, dtype=torch.float64)[:, None] / sum(weights)
        mean = (weight * blocks).sum(0)
        # Unbiased variance of a weighted mean whose terms have variances inverse to their weights.
        variance = (weight * (blocks - mean).square()).sum(0) / (len(blocks) - 1)
        freedom = len(blocks) - 1.0
        pooled = variance[usable].mean()
        return ((freedom * variance + self.PRIOR_BLOCKS * pooled) / (freedom + self.PRIOR_BLOCKS)).sqrt()


class Hajek(_ByArms):
    """Self-normalised means: sum(delta z) / sum(z); consistent, and far less noisy than fixed denominators."""

    def _arms(self, replaced: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        kept = 1 - replaced
        return (delta @ replaced) / replaced.sum(0), (delta @ kept) / kept.sum(0)

    def _independent_error(self, replaced: Tensor, delta: Tensor, iss: Tensor, kept: Tensor) -> Tensor:
        variance = torch.zeros_like(iss)
        for arm, mean in ((replaced, iss), (1 - replaced, kept)):
            count = arm.sum(0)
            squares = (delta.square() @ arm) - count * mean.square()
            # One sample in an arm says nothing of its spread: 0 / 0 is NaN, as it should be.
            variance = variance + squares.clamp_min(0) / (count - 1).clamp_min(0) / count
        return variance.sqrt()


class HorvitzThompson(_ByArms):
    """The paper's estimator: sum(delta z) / (N q); unbiased under independent draws, and mostly noise at N = 100.

    Under a balanced design the realised count takes the place of N q.
    """

    def _arms(self, replaced: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        kept = 1 - replaced
        if self.independent:
            count = len(delta)
            return (
                (delta @ replaced) / (count * self.probability),
                (delta @ kept) / (count * (1 - self.probability)),
            )
        return (delta @ replaced) / replaced.sum(0), (delta @ kept) / kept.sum(0)

    def _independent_error(self, replaced: Tensor, delta: Tensor, iss: Tensor, kept: Tensor) -> Tensor:
        terms = delta[:, None] * (replaced / self.probability - (1 - replaced) / (1 - self.probability))
        return terms.std(0) / len(delta) ** 0.5


REGISTRY: Mapping[str, type[_ByArms]] = {"hajek": Hajek, "horvitz_thompson": HorvitzThompson}
