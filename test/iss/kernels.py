# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small surfaces and interventions for tests of the emulator."""

import torch

from vla_iss_ros.iss.estimators.coalition_kernel import CoalitionKernel, Interventions

POSITIONS = torch.tensor(
    [[view, row, column] for view in range(2) for row in range(2) for column in range(2)]
)


def some_products(cells=8, pictures=3, seed=0):
    features = torch.randn(cells, pictures, 5, generator=torch.Generator().manual_seed(seed))
    return features @ features.transpose(1, 2)


def some_interventions(count=20, cells=8, pictures=3, frames=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    replaced = torch.rand(count, cells, generator=generator) < 0.5
    return Interventions.sort(
        replaced, torch.arange(count) % pictures, torch.arange(count) % frames - frames + 1
    )[0]


def some_values(surface, seed=0):
    generator = torch.Generator().manual_seed(seed)
    prior = CoalitionKernel.prior_values(surface)
    return 0.5 * torch.randn(len(prior), generator=generator, dtype=torch.float64)
