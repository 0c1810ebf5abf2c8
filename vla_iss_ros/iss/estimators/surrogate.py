# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The policy's answer as a linear function of the cells, and the saliency that follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vla_iss_ros.iss.estimators.gaussian_process import posterior, prior_roots
from vla_iss_ros.iss.estimators.interface import Estimate, SampledEstimator, group_means, picture_groups


@dataclass(frozen=True)
class LinearAnswer:
    """How the action moves: offset of the baseline picture + (z - q) @ ``slope``.

    ``offsets`` [D, TA] by picture, ``slope`` [C, TA], ``variance`` [C] of every entry of the slope.
    """

    probability: float
    offsets: Tensor
    slope: Tensor
    variance: Tensor

    @classmethod
    def fit(
        cls,
        probability: float,
        replaced: Tensor,
        moves: Tensor,
        place: Tensor,
        groups: int,
        roots: Tensor,
    ) -> LinearAnswer:
        """Fit to samples ``replaced`` [N, C] and ``moves`` [N, TA] of the pictures ``place`` [N] out of ``groups``.

        A picture without samples gets the mean offset of the others.
        """
        count = torch.bincount(place, minlength=groups)
        safe = count.clamp_min(1)
        rows, moved = replaced - group_means(replaced, place, safe), moves - group_means(moves, place, safe)
        freedom = len(moves) - int((count > 0).sum())
        if freedom < 1 or not bool(rows.any()) or not bool(moved.any()):
            slope = torch.zeros(replaced.shape[1], moves.shape[1], dtype=torch.float64)
            variance = torch.full((replaced.shape[1],), math.nan, dtype=torch.float64)
        else:
            gram, moment = rows.T @ rows, rows.T @ moved
            slope, variance = posterior(gram, moment, moved.square().sum(), freedom, roots)
        residual = moves - (replaced - probability) @ slope
        sums = torch.zeros(groups, moves.shape[1], dtype=torch.float64).index_add_(0, place, residual)
        offsets = torch.where((count > 0)[:, None], sums / safe[:, None], residual.mean(0))
        return cls(probability, offsets, slope, variance)

    def predict(self, replaced: Tensor, place: Tensor) -> Tensor:
        """Return the mean squared move [N] that the linear answer gives each sample."""
        return (self.offsets[place] + (replaced - self.probability) @ self.slope).square().mean(1)

    def arms(self, with_variance: bool = False) -> tuple[Tensor, Tensor]:
        """Return the expected mean squared move [C] given that a cell is replaced, and given that it is kept.

        Exact for the linear answer under independent cells: norm(m + (1 - q) B_c)^2 +
        q (1 - q) (sum_j norm(B_j)^2 - norm(B_c)^2), over TA, pictures averaged; kept alike with -q in the place of
        1 - q. ``with_variance`` adds the slope's posterior variance to its squares; without, it is the answer that
        ``predict`` gives.
        """
        q, outputs = self.probability, self.slope.shape[1]
        doubt = outputs * self.variance.nan_to_num(0) * with_variance  # E norm(B_c)^2 - norm(E B_c)^2
        power = self.slope.square().sum(1) + doubt
        others = q * (1 - q) * (power.sum() - power)
        mean = self.offsets.mean(0)
        spread = (self.offsets - mean).square().sum(1).mean()
        replaced = (mean + (1 - q) * self.slope).square().sum(1) + (1 - q) ** 2 * doubt
        kept = (mean - q * self.slope).square().sum(1) + q**2 * doubt
        return (replaced + spread + others) / outputs, (kept + spread + others) / outputs


class Surrogate(SampledEstimator):
    """Regresses the action's displacement, TA numbers, on the cells and takes the saliency from the fit.

    Learns from every component of the action, so it needs few samples; biased where the policy is not additive in the
    cells or cells matter differently for different donors, and the bias stays at any N. Only for action MSE. The
    standard error is the posterior's and knows nothing of that bias.
    """

    uses_moves = True

    def estimate(self) -> Estimate:
        """Return ISS, contrast and standard error of all blocks so far."""
        replaced, delta, pictures = self._samples.together()
        place, count = picture_groups(pictures)
        roots = prior_roots(replaced.shape[1], self._positions, self.changes)
        answer = LinearAnswer.fit(self.probability, replaced, self._samples.moves(), place, len(count), roots)
        iss, kept = answer.arms(with_variance=True)
        return Estimate(iss, iss - kept, _standard_error(answer), len(delta))


def _standard_error(answer: LinearAnswer) -> Tensor:
    """Return the contrast's standard error [C]: that of a quadratic form in independent Gaussian slopes."""
    q, outputs = answer.probability, answer.slope.shape[1]
    gradient = 2 * (answer.offsets.mean(0) + (1 - 2 * q) * answer.slope) / outputs
    first = gradient.square().sum(1) * answer.variance
    second = 2 * (1 - 2 * q) ** 2 * answer.variance.square() / outputs
    return (first + second).sqrt()
