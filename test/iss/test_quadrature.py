# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from vla_iss_ros.iss.estimators.quadrature import contrasts, crossed, spread


def test_crossed_tries_every_mask_with_every_picture():
    nodes = crossed(5, 3, 0.3, 64)
    assert len(nodes) == 192
    masks = nodes.replaced.view(3, 64, 5)
    assert torch.equal(masks[0], masks[1])
    assert nodes.pictures.view(3, 64)[:, 0].tolist() == [0, 1, 2]
    # Scrambled Sobol points are even: shares of 64 points are within one or two points of what they should be.
    assert (masks[0].mean(0) - 0.3).abs().max() < 2.5 / 64


def test_spread_uses_every_picture_equally_often():
    nodes = spread(5, 4, 0.5, 64)
    assert nodes.pictures.bincount().tolist() == [16] * 4
    assert len(nodes.parts) == 4


def test_the_nodes_are_the_same_every_time():
    crossed.cache_clear()
    first = crossed(5, 3, 0.3, 64)
    crossed.cache_clear()
    assert torch.equal(first.replaced, crossed(5, 3, 0.3, 64).replaced)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_contrasts_of_an_additive_function_are_its_terms(count):
    nodes = spread(4, 2, 0.5, 128)
    terms = torch.tensor([[3.0, 0.0, -1.0, 0.5]] * count, dtype=torch.float64).T * torch.arange(1, count + 1)
    constants = 10.0 * nodes.pictures.double()[:, None]
    weights = torch.tensor([1.0, 0.1, 0.5, 0.3], dtype=torch.float64)
    found, variance = contrasts(nodes.replaced, nodes.pictures, nodes.replaced @ terms + constants, weights)
    torch.testing.assert_close(found, terms, rtol=2e-3, atol=2e-3 * count)
    assert variance.max() < 1e-3 * count**2


def test_interactions_become_doubt():
    nodes = spread(4, 1, 0.5, 256)
    z = nodes.replaced - 0.5
    pair = 4 * z[:, 2:3] * z[:, 3:4]
    found, variance = contrasts(nodes.replaced, nodes.pictures, z[:, :1] + pair, torch.ones(4).double())
    assert abs(found[0].item() - 1) < 4 * variance[0].sqrt() + 0.01
    assert variance[0] > 1e-3


def test_a_constant_function_has_no_contrast_and_no_doubt():
    nodes = spread(4, 2, 0.5, 16)
    found, variance = contrasts(
        nodes.replaced, nodes.pictures, torch.ones(16, 1).double(), torch.ones(4).double()
    )
    assert found.abs().max() == 0
    assert variance.abs().max() == 0
