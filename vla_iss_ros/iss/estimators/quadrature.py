# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From a function of interventions to its contrast for every cell, by the function's values on fixed interventions."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from vla_iss_ros.iss.designs import Sobol
from vla_iss_ros.iss.estimators.coalition_kernel import Interventions
from vla_iss_ros.iss.estimators.gaussian_process import posterior
from vla_iss_ros.iss.estimators.interface import group_means, picture_groups

NOISES = (0.01, 0.1, 1.0, 10.0, 100.0)
LEAST_MASKS = 4
SEED = 0  # the nodes are a rule of integration, the same for every frame


@lru_cache(2)
def crossed(cells: int, pictures: int, probability: float, masks: int) -> Interventions:
    """Return ``masks`` coalitions, each with every picture, sorted by picture, then by coalition."""
    replaced = _coalitions(cells, probability, masks).repeat(pictures, 1)
    return _at_present(replaced, torch.arange(pictures).repeat_interleave(masks))


@lru_cache(2)
def spread(cells: int, pictures: int, probability: float, masks: int) -> Interventions:
    """Return ``masks`` coalitions, each with one picture, sorted by picture.

    Of many pictures evenly chosen ones are used, so that each has ``LEAST_MASKS`` coalitions.
    """
    turns = max(1, min(pictures, masks // LEAST_MASKS))
    chosen = (torch.arange(masks) * turns // masks) * pictures // turns
    return _at_present(_coalitions(cells, probability, masks), chosen)


def _at_present(replaced: Tensor, pictures: Tensor) -> Interventions:
    return Interventions.sort(replaced, pictures, torch.zeros(len(pictures)))[0]


def _coalitions(cells: int, probability: float, count: int) -> Tensor:
    return Sobol().draw(count, cells, probability, torch.Generator().manual_seed(SEED)).double()


def contrasts(replaced: Tensor, groups: Tensor, values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the contrasts [C, m] of ``values`` [n, m] at coalitions ``replaced`` [n, C], and their variance [C].

    Regression on all cells, ``groups`` int64 [n] with constants of their own. A cell that hardly weighs is believed to
    hardly matter: the prior deviation of its contrast is proportional to its entry of ``weights`` [C]. How far, and the
    noise, are averaged over by marginal likelihood. Noise here is what interactions of cells leave.
    """
    if len(groups.unique()) * 2 > len(groups):
        groups = torch.zeros_like(groups)  # constants of their own would explain everything
    place, count = picture_groups(groups)
    rows, moved = replaced - group_means(replaced, place, count), values - group_means(values, place, count)
    freedom, square = len(rows) - len(count), moved.square().sum()
    if freedom < 1 or not bool(square > 0) or not bool(rows.any()):
        zero = torch.zeros(replaced.shape[1], values.shape[1], dtype=torch.float64)
        # A constant has no contrast. One value alone tells nothing of it: all of it may be.
        doubt = float(values.square().mean()) if freedom < 1 else 0.0
        return zero, torch.full((len(zero),), doubt, dtype=torch.float64)
    root = torch.diag(weights)[None]
    mean, variance = posterior(rows.T @ rows, rows.T @ moved, square, freedom, root, NOISES)
    return mean, variance.clamp_min(0)
