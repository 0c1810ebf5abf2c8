# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A surrogate corrected by what it gets wrong on samples that it did not see."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_iss_ros.iss.estimators.gaussian_process import prior_roots
from vla_iss_ros.iss.estimators.interface import Estimate, SampledEstimator, picture_groups
from vla_iss_ros.iss.estimators.surrogate import LinearAnswer

FOLDS = 4


class RegressionAdjusted(SampledEstimator):
    """Cross-fitted surrogate + Horvitz-Thompson (or Hajek) of its residuals.

    Witter, Liu and Musco, NeurIPS 2025, arXiv 2506.11849. Each fold's divergences are predicted by a linear answer
    fitted to the other folds; what it misses is estimated by weighting and added to the fit's own saliency. Under an
    independent design with fixed denominators exactly unbiased whatever the fit; under others residuals are
    self-normalised and the estimate is consistent. The standard error is that of the residuals' part, between folds'
    samples.
    """

    uses_moves = True

    def estimate(self) -> Estimate:
        """Return ISS, contrast and standard error; raises ValueError with fewer samples than folds."""
        replaced, delta, pictures = self._samples.together()
        if len(delta) < FOLDS:
            raise ValueError(f"regression_adjusted needs at least {FOLDS} samples, got {len(delta)}")
        moves, roots = self._samples.moves(), prior_roots(replaced.shape[1], self._positions, self.changes)
        place, count = picture_groups(pictures)
        fold = torch.arange(len(delta)) % FOLDS
        residual = torch.empty_like(delta)
        iss, kept = torch.zeros(2, replaced.shape[1], dtype=torch.float64)
        for index in range(FOLDS):
            seen, unseen = fold != index, fold == index
            answer = LinearAnswer.fit(
                self.probability, replaced[seen], moves[seen], place[seen], len(count), roots
            )
            residual[unseen] = delta[unseen] - answer.predict(replaced[unseen], place[unseen])
            share = float(unseen.double().mean())
            fitted_iss, fitted_kept = answer.arms()
            iss, kept = iss + share * fitted_iss, kept + share * fitted_kept
        iss_rest, kept_rest = self._rest(replaced, residual)
        terms = residual[:, None] * (replaced / self.probability - (1 - replaced) / (1 - self.probability))
        if not self.independent:
            terms = terms - residual.mean() * (
                replaced / self.probability - (1 - replaced) / (1 - self.probability)
            )
        error = terms.std(0) / len(delta) ** 0.5
        return Estimate(iss + iss_rest, iss + iss_rest - kept - kept_rest, error, len(delta))

    def _rest(self, replaced: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the surrogate misses in either arm [C]."""
        kept = 1 - replaced
        if self.independent:
            count = len(residual)
            return (residual @ replaced) / (count * self.probability), (residual @ kept) / (
                count * (1 - self.probability)
            )
        return (residual @ replaced) / replaced.sum(0), (residual @ kept) / kept.sum(0)
