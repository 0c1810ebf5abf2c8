# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Linear regression on cells with a Gaussian-process prior, from sums over samples alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

# Length scales in cells; 0 is a prior without neighbours. Noise is relative to the mean prior variance of a sample.
LENGTH_SCALES = (0.0, 0.7, 1.2, 2.0)
NOISES = tuple(10 ** (exponent / 2) for exponent in range(-4, 5))
# How a coefficient's prior deviation grows with the change of its cell's pixels; 0 is a prior that does not look.
CHANGE_EXPONENTS = (0.0, 0.5, 1.0)
LEAST_CHANGE = 1e-3


def prior_roots(cells: int, positions: Tensor | None, changes: Tensor | None) -> Tensor:
    """Return a square root of each of R prior covariances of the coefficients, float64 [R, C, C].

    Each is a squared exponential of the distance within a view, cells of different views independent; ``positions``
    int [C, 3] holds view, row and column, and without it only the prior without neighbours is left. ``changes`` [C],
    how far the pixels of a cell change when it is replaced (root mean square), scales the prior: a cell that shows
    the same wall in the image and in the baseline cannot move the action. Raises ValueError unless there is a
    position for every cell.
    """
    if positions is not None and positions.shape != (cells, 3):
        raise ValueError(f"positions must be [{cells}, 3], got {list(positions.shape)}")
    places = None if positions is None else tuple(tuple(place) for place in positions.tolist())
    plain = _neighbour_roots(cells, places)
    if changes is None or not bool((changes > 0).any()):
        return plain
    relative = (changes.double() / changes.double().mean()).clamp_min(LEAST_CHANGE)
    exponents = torch.tensor(CHANGE_EXPONENTS, dtype=torch.float64)
    return (relative ** exponents[:, None])[:, None, :, None].mul(plain).flatten(0, 1)


# Few layouts of cells are in use at a time, and every frame asks for the same.
@functools.lru_cache(maxsize=8)
def _neighbour_roots(cells: int, places: tuple[tuple[int, ...], ...] | None) -> Tensor:
    """Return the roots for each length scale [S, C, C]; the same tensor for every caller, not to be written to."""
    # Not in inference mode: who asks next may be outside of it.
    with torch.inference_mode(False), torch.no_grad():
        identity = torch.eye(cells, dtype=torch.float64)
        if places is None:
            return identity[None]
        place = torch.tensor(places, dtype=torch.float64)
        same_view = place[:, None, 0] == place[None, :, 0]
        distance = (place[:, None, 1:] - place[None, :, 1:]).square().sum(-1)
        roots = []
        for scale in LENGTH_SCALES:
            if scale == 0:
                roots.append(identity)
                continue
            covariance = torch.exp(-0.5 * distance / scale**2) * same_view
            # A little of the identity keeps wide priors invertible.
            roots.append(torch.linalg.cholesky(covariance + 0.02 * identity))
        return torch.stack(roots)


def posterior(
    gram: Tensor,
    moment: Tensor,
    square: Tensor,
    freedom: int,
    roots: Tensor,
    noises: Sequence[float] = NOISES,
) -> tuple[Tensor, Tensor]:
    """Return the coefficients' posterior mean [C, p] and their variance [C], the same for every output.

    ``gram`` [C, C] and ``moment`` [C, p] are sums over centred samples of x x' and x y', ``square`` the sum of all
    squared y, ``freedom`` the samples left after centring, ``roots`` [R, C, C] of prior covariances, ``noises``
    relative to the mean prior variance of a sample; all tensors float64. Outputs share prior and noise. Prior and
    noise are averaged over by their marginal likelihood; the variance holds the spread between them, and nothing of
    priors and noises that are not among these.
    """
    outputs = moment.shape[1]
    values, vectors = torch.linalg.eigh(roots.mT @ gram @ roots)
    values = values.clamp_min(0)
    turned = roots @ vectors
    projected = turned.mT @ moment
    # Every prior (R) meets every noise (K): [R, K] and [R, K, C].
    ridge = values.sum(1, keepdim=True) * torch.tensor(noises, dtype=torch.float64) / freedom
    total = values[:, None] + ridge[..., None]
    shrunk = 1 / total
    residual = (square - (shrunk @ projected.square().sum(2, keepdim=True))[..., 0]) / ridge
    log_determinant = total.log().sum(2) + (freedom - len(gram)) * ridge.log()
    scores = -0.5 * outputs * (freedom * residual.log() + log_determinant)
    weight = scores.flatten().softmax(0)
    means = turned @ (shrunk.mT[..., None] * projected[:, :, None]).flatten(2)
    each = means.unflatten(2, (len(noises), outputs)).transpose(1, 2).flatten(0, 1)  # [R x K, C, p]
    scale = (residual * ridge / (freedom * outputs)).flatten()
    variances = scale[:, None] * (turned.square() @ shrunk.mT).mT.flatten(0, 1)
    mean = torch.tensordot(weight, each, 1)
    return mean, weight @ (variances + (each - mean).square().mean(2))
