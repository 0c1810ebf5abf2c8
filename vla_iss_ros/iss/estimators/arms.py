# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Estimators that compare the samples that replace a cell with those that keep it."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_iss_ros.iss.estimators.interface import Estimate, SampledEstimator, group_means, picture_groups


class _ByArms(SampledEstimator):
    """Means of delta over the samples that replace a cell and over those that keep it.

    ``independent`` designs get the standard error from the spread of the samples, all others from the spread of the
    estimate over blocks. Blocks are few, so a cell's variance is drawn towards the mean variance of all cells
    (moderated variance, Smyth 2004) with the weight of ``PRIOR_BLOCKS`` blocks.
    """

    PRIOR_BLOCKS = 4.0

    def estimate(self) -> Estimate:
        """Return ISS, contrast and standard error of all blocks so far."""
        replaced, delta, pictures = self._samples.together()
        adjusted = self._adjust(delta, pictures)
        iss, kept = self._arms(replaced, adjusted)
        if self.independent:
            error = self._independent_error(replaced, adjusted, iss, kept)
        else:
            error = self._block_error(replaced, adjusted)
        return Estimate(iss, iss - kept, error, len(delta))

    def _adjust(self, delta: Tensor, pictures: Tensor) -> Tensor:
        """Return the divergences that the arms' means are taken of."""
        return delta

    def _arms(self, replaced: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError  # abstract

    def _independent_error(self, replaced: Tensor, delta: Tensor, iss: Tensor, kept: Tensor) -> Tensor:
        raise NotImplementedError  # abstract

    def _block_error(self, replaced: Tensor, delta: Tensor) -> Tensor:
        contrasts = []
        lengths = self._samples.block_lengths
        for block, moved in zip(replaced.split(lengths), delta.split(lengths), strict=True):
            iss, kept = self._arms(block, moved)
            contrasts.append(iss - kept)
        blocks = torch.stack(contrasts)
        usable = torch.isfinite(blocks).all(0)
        if len(blocks) < 2 or not usable.any():
            return torch.full_like(blocks[0], float("nan"))
        weight = torch.tensor(lengths, dtype=torch.float64)[:, None] / sum(lengths)
        mean = (weight * blocks).sum(0)
        # Unbiased variance of a weighted mean whose terms have variances inverse to their weights.
        variance = (weight * (blocks - mean).square()).sum(0) / (len(blocks) - 1)
        freedom = len(blocks) - 1.0
        pooled = variance[usable].mean()
        return ((freedom * variance + self.PRIOR_BLOCKS * pooled) / (freedom + self.PRIOR_BLOCKS)).sqrt()


class Hajek(_ByArms):
    """Self-normalised means: sum(delta z) / sum(z); consistent, and far less noisy than fixed denominators.

    Post-stratified by baseline picture: donors differ in how far they move the action whatever is replaced, which
    says nothing of the cells. So each divergence is measured from the mean of its picture, once every picture has
    ``ENOUGH`` samples.
    """

    ENOUGH = 4

    def _adjust(self, delta: Tensor, pictures: Tensor) -> Tensor:
        place, count = picture_groups(pictures)
        if len(count) < 2 or int(count.min()) < self.ENOUGH:
            return delta
        # Deviations from a mean of n samples are too small by (n - 1) / n.
        deviation = (delta - group_means(delta, place, count)) * (count / (count - 1))[place]
        return delta.mean() + deviation

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
