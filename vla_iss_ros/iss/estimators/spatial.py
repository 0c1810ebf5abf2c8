# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Regression of delta on all cells at once, with a prior that neighbouring cells matter alike."""

from __future__ import annotations

import math

import torch

from vla_iss_ros.iss.estimators.gaussian_process import posterior, prior_roots
from vla_iss_ros.iss.estimators.interface import Estimate, SampledEstimator, group_means, picture_groups


class Spatial(SampledEstimator):
    """Gaussian-process regression: delta = donor's mean + sum of beta_c (z_c - q) + noise.

    Regressing on all cells at once takes what the other cells did out of a cell's estimate; what one baseline picture
    does whatever is replaced is taken out as well. The prior of beta is a Gaussian process over each view's grid,
    cells of different views independent, and it is narrower where the baseline shows what the image shows. Length
    scale, noise and how much the change of pixels counts are averaged over by their marginal likelihood, so
    none is a constant that fits one policy. contrast = beta (posterior mean), ISS = mean + (1 - q) beta; consistent
    for the best linear approximation, which under independent cells is the contrast itself. The standard error is the
    posterior's; it includes interactions of cells as noise.
    """

    def estimate(self) -> Estimate:
        """Return ISS, contrast and standard error of all blocks so far."""
        replaced, delta, pictures = self._samples.together()
        place, count = picture_groups(pictures)
        rows = replaced - group_means(replaced, place, count)
        moved = delta - group_means(delta, place, count)
        freedom = len(delta) - len(count)
        if freedom < 1 or not bool(moved.any()) or not bool(rows.any()):
            beta = torch.zeros(replaced.shape[1], dtype=torch.float64)
            return Estimate(delta.mean() + beta, beta, torch.full_like(beta, math.nan), len(delta))
        roots = prior_roots(replaced.shape[1], self._positions, self.changes)
        mean, variance = posterior(rows.T @ rows, (rows.T @ moved)[:, None], moved @ moved, freedom, roots)
        beta = mean[:, 0]
        iss = delta.mean() + (1 - self.probability) * beta
        return Estimate(iss, beta, variance.clamp_min(0).sqrt(), len(delta))
