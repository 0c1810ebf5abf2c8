"""Linear regression on cells with a Gaussian-process prior, from sums over samples alone."""

from __future__ import annotations

import torch
from torch import Tensor

# Length scales in cells; 0 is a prior without neighbours. Noise is relative to the mean prior variance of a sample.
LENGTH_SCALES = (0.0, 0.7, 1.2, 2.0)
NOISES = tuple(10 ** (exponent / 2) for exponent in range(-4, 5))
# How a coefficient's prior deviation grows with the change of its cell's pixels; 0 is a prior that does not look.
CHANGE_EXPONENTS = (0.0, 0.5, 1.0)
LEAST_CHANGE = 1e-3


def prior_roots(cells: int, positions: Tensor | None, changes: Tensor | None) -> list[Tensor]:
    """Return a square root [C, C] of every prior covariance of the coefficients.

    Each is a squared exponential of the distance within a view, cells of different views independent; ``positions``
    int [C, 3] holds view, row and column, and without it only the prior without neighbours is left. ``changes`` [C],
    how far the pixels of a cell change when it is replaced (root mean square), scales the prior: a cell that shows
    the same wall in the image and in the baseline cannot move the action.
    """
    plain = _neighbour_roots(cells, positions)
    if changes is None or not bool((changes > 0).any()):
        return plain
    relative = (changes.double() / changes.double().mean()).clamp_min(LEAST_CHANGE)
    return [
        relative[:, None] ** exponent * root if exponent else root
        for exponent in CHANGE_EXPONENTS
        for root in plain
    ]


def _neighbour_roots(cells: int, positions: Tensor | None) -> list[Tensor]:
    identity = torch.eye(cells, dtype=torch.float64)
    if positions is None:
        return [identity]
    places = positions.double()
    same_view = places[:, None, 0] == places[None, :, 0]
    distance = (places[:, None, 1:] - places[None, :, 1:]).square().sum(-1)
    roots = []
    for scale in LENGTH_SCALES:
        if scale == 0:
            roots.append(identity)
            continue
        covariance = torch.exp(-0.5 * distance / scale**2) * same_view
        # A little of the identity keeps wide priors invertible.
        roots.append(torch.linalg.cholesky(covariance + 0.02 * identity))
    return roots


def posterior(
    gram: Tensor, moment: Tensor, square: Tensor, freedom: int, roots: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the coefficients' posterior mean [C, p] and their variance [C], the same for every output.

    ``gram`` [C, C] and ``moment`` [C, p] are sums over centred samples of x x' and x y', ``square`` the sum of all
    squared y, ``freedom`` the samples left after centring. Outputs share prior and noise. Length scale and noise are
    averaged over by their marginal likelihood; the variance holds the spread between them.
    """
    outputs = moment.shape[1]
    scores, means, variances = [], [], []
    for root in roots:
        values, vectors = torch.linalg.eigh(root.T @ gram @ root)
        values = values.clamp_min(0)
        projected = vectors.T @ (root.T @ moment)
        turned = root @ vectors
        for noise in NOISES:
            ridge = noise * values.sum() / freedom
            shrunk = 1 / (values + ridge)
            residual = (square - (projected.square().sum(1) * shrunk).sum()) / ridge
            log_determinant = (values + ridge).log().sum() + (freedom - len(values)) * ridge.log()
            scores.append(-0.5 * outputs * (freedom * residual.log() + log_determinant))
            means.append(turned @ (shrunk[:, None] * projected))
            variances.append(residual / (freedom * outputs) * ridge * (turned.square() @ shrunk))
    weight = torch.stack(scores).softmax(0)
    stacked = torch.stack(means)
    mean = torch.tensordot(weight, stacked, 1)
    spread = (stacked - mean).square().mean(2)
    return mean, weight @ (torch.stack(variances) + spread)
