# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_iss_ros.iss.designs import REGISTRY, Balanced, Bernoulli


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(1, 80),
    cells=st.integers(1, 20),
    probability=st.floats(0.05, 0.95),
    seed=st.integers(0, 99),
)
def test_balanced_replaces_every_cell_equally_often(count, cells, probability, seed):
    drawn = Balanced().draw(count, cells, probability, generator(seed))
    expected = count * probability
    totals = drawn.sum(0)
    assert drawn.shape == (count, cells)
    assert drawn.dtype == torch.bool
    assert ((totals - expected).abs() < 1 + 1e-4).all()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_probability_of_replacement_is_exact_on_average(name):
    design = REGISTRY[name]()
    source = generator(1)
    share = torch.stack([design.draw(5, 4, 0.7, source).double().mean(0) for _ in range(4000)]).mean(0)
    # 20,000 draws a cell: four standard errors of a coin of 0.7.
    assert ((share - 0.7).abs() < 4 * (0.7 * 0.3 / 20000) ** 0.5).all()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_same_seed_same_draws(name):
    first = REGISTRY[name]().draw(32, 98, 0.7, generator(3))
    assert torch.equal(first, REGISTRY[name]().draw(32, 98, 0.7, generator(3)))
    assert not torch.equal(first, REGISTRY[name]().draw(32, 98, 0.7, generator(4)))


def test_cells_of_a_balanced_design_are_uncorrelated():
    drawn = torch.cat([Balanced().draw(32, 6, 0.5, generator(seed)) for seed in range(300)]).double()
    correlation = torch.corrcoef(drawn.T) - torch.eye(6)
    assert correlation.abs().max() < 0.05


def test_only_bernoulli_claims_independent_rows():
    assert Bernoulli.independent
    assert not Balanced.independent
