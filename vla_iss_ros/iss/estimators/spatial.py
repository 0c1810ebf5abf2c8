"""Regression of delta on all cells at once, with a prior that neighbouring cells matter alike."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vla_iss_ros.iss.estimators.interface import Estimate, Samples, group_means, picture_groups

# Length scales in cells; 0 is a prior without neighbours. Noise is relative to the mean prior variance of a sample.
LENGTH_SCALES = (0.0, 0.7, 1.2, 2.0)
NOISES = tuple(10 ** (exponent / 2) for exponent in range(-4, 5))


class Spatial:
    """Gaussian-process regression: delta = donor's mean + sum of beta_c (z_c - q) + noise (method of RISE's masks).

    Regressing on all cells at once takes what the other cells did out of a cell's estimate; what one baseline picture
    does whatever is replaced is taken out as well. The prior of beta is a Gaussian process over each view's grid,
    cells of different views independent. Length scale and noise are averaged over by their marginal likelihood, so
    none is a constant that fits one policy. contrast = beta (posterior mean), ISS = mean + (1 - q) beta; consistent
    for the best linear approximation, which under independent cells is the contrast itself. The standard error is the
    posterior's; it includes interactions of cells as noise.
    """

    def __init__(self, probability: float, independent: bool, positions: Tensor | None = None) -> None:
        if not 0 < probability < 1:
            raise ValueError(f"the probability of replacement must be in (0, 1), got {probability}")
        self.probability = probability
        self.independent = independent
        self._positions = positions
        self._samples = Samples()

    def update(self, replaced: Tensor, delta: Tensor, pictures: Tensor | None = None) -> None:
        """Take in a block; raises ValueError on another shape or on values that are not finite."""
        self._samples.add(replaced, delta, pictures)

    def estimate(self) -> Estimate:
        """Return ISS, contrast and standard error of all blocks so far."""
        replaced, delta, pictures = self._samples.together()
        place, count = picture_groups(pictures)
        rows = replaced - group_means(replaced, place, count)
        moved = delta - group_means(delta, place, count)
        freedom = len(delta) - len(count)
        if freedom < 1 or not bool(moved.any()):
            beta = torch.zeros(replaced.shape[1], dtype=torch.float64)
            return Estimate(delta.mean() + beta, beta, torch.full_like(beta, math.nan), len(delta))
        beta, variance = self._posterior(rows.T @ rows, rows.T @ moved, moved @ moved, freedom)
        return Estimate(
            delta.mean() + (1 - self.probability) * beta, beta, variance.clamp_min(0).sqrt(), len(delta)
        )

    def _posterior(self, gram: Tensor, moment: Tensor, square: Tensor, freedom: int) -> tuple[Tensor, Tensor]:
        """Return posterior mean and variance of beta [C], averaged over the hyperparameters' grid."""
        scores, means, variances = [], [], []
        for root in self._prior_roots(len(moment)):
            values, vectors = torch.linalg.eigh(root.T @ gram @ root)
            values = values.clamp_min(0)
            projected = vectors.T @ (root.T @ moment)
            turned = root @ vectors
            for noise in NOISES:
                ridge = noise * values.sum() / freedom
                shrunk = 1 / (values + ridge)
                residual = (square - (projected.square() * shrunk).sum()) / ridge
                log_determinant = (values + ridge).log().sum() + (freedom - len(values)) * ridge.log()
                scores.append(-0.5 * (freedom * residual.log() + log_determinant))
                means.append(turned @ (shrunk * projected))
                variances.append(residual / freedom * ridge * (turned.square() @ shrunk))
        weight = torch.stack(scores).softmax(0)
        stacked = torch.stack(means)
        mean = weight @ stacked
        return mean, weight @ (torch.stack(variances) + (stacked - mean).square())

    def _prior_roots(self, cells: int) -> list[Tensor]:
        """Return a square root [C, C] of every prior covariance."""
        identity = torch.eye(cells, dtype=torch.float64)
        if self._positions is None:
            return [identity]
        positions = self._positions.double()
        same_view = positions[:, None, 0] == positions[None, :, 0]
        distance = (positions[:, None, 1:] - positions[None, :, 1:]).square().sum(-1)
        roots = []
        for scale in LENGTH_SCALES:
            if scale == 0:
                roots.append(identity)
                continue
            covariance = torch.exp(-0.5 * distance / scale**2) * same_view
            # A little of the identity keeps wide priors invertible.
            roots.append(torch.linalg.cholesky(covariance + 0.02 * identity))
        return roots
