# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from vla_iss_ros.iss.designs import Bernoulli
from vla_iss_ros.iss.estimators.gaussian_process import LENGTH_SCALES, NOISES
from vla_iss_ros.iss.estimators.spatial import Spatial

POSITIONS = torch.tensor(
    [[view, row, column] for view in range(2) for row in range(3) for column in range(3)]
)


def products_of(changes):
    """One baseline picture that changes cells by the given root mean squares."""
    return changes.square()[:, None, None]


def sample(count, seed=0, noise=0.3):
    generator = torch.Generator().manual_seed(seed)
    replaced = Bernoulli().draw(count, 18, 0.6, generator)
    weights = torch.randn(18, generator=generator, dtype=torch.float64)
    delta = replaced.double() @ weights + noise * torch.randn(count, generator=generator, dtype=torch.float64)
    return replaced, delta, weights


def dense(replaced, delta):
    """Gaussian-process regression written out over samples instead of cells."""
    rows, moved = replaced.double() - replaced.double().mean(0), delta - delta.mean()
    count, freedom = len(moved), len(moved) - 1
    distance = (POSITIONS[:, None, 1:] - POSITIONS[None, :, 1:]).double().square().sum(-1)
    same = POSITIONS[:, None, 0] == POSITIONS[None, :, 0]
    scores, means = [], []
    for scale in LENGTH_SCALES:
        prior = torch.eye(18, dtype=torch.float64)
        if scale:
            prior = torch.exp(-0.5 * distance / scale**2) * same + 0.02 * prior
        signal = rows @ prior @ rows.T
        for noise in NOISES:
            ridge = noise * signal.trace() / freedom
            total = signal + ridge * torch.eye(count, dtype=torch.float64)
            solved = torch.linalg.solve(total, moved)
            # The centred samples have one direction less than samples.
            log_determinant = torch.linalg.slogdet(total)[1] - ridge.log()
            scores.append(-0.5 * (freedom * (moved @ solved).log() + log_determinant))
            means.append(prior @ rows.T @ solved)
    return torch.stack(scores).softmax(0) @ torch.stack(means)


@pytest.mark.parametrize("block", [1, 2, 3, 40])
def test_equals_the_regression_written_over_samples(block):
    replaced, delta, _ = sample(40)
    estimator = Spatial(0.6, True, POSITIONS)
    for start in range(0, 40, block):
        estimator.update(replaced[start : start + block], delta[start : start + block])
    torch.testing.assert_close(estimator.estimate().contrast, dense(replaced, delta), atol=1e-8, rtol=1e-6)


def test_an_additive_policy_is_recovered():
    replaced, delta, weights = sample(400, noise=0.0)
    estimator = Spatial(0.6, True, POSITIONS)
    estimator.update(replaced, delta)
    result = estimator.estimate()
    torch.testing.assert_close(result.contrast, weights, atol=0.01, rtol=0.01)
    torch.testing.assert_close(result.iss, delta.mean() + 0.4 * result.contrast)


def test_what_a_picture_does_alone_is_taken_out():
    replaced, delta, weights = sample(300, noise=0.1)
    pictures = torch.arange(300) % 3
    estimator = Spatial(0.6, True, POSITIONS)
    estimator.update(replaced, delta + 50 * pictures, pictures)
    torch.testing.assert_close(estimator.estimate().contrast, weights, atol=0.1, rtol=0)


def test_a_cell_whose_pixels_do_not_change_is_not_believed_to_matter():
    generator = torch.Generator().manual_seed(5)
    changes = torch.cat([torch.ones(4), torch.zeros(14)])
    weights = torch.cat([torch.randn(4, generator=generator), torch.zeros(14)]).double()
    replaced = Bernoulli().draw(30, 18, 0.5, generator)
    delta = replaced.double() @ weights + 0.7 * torch.randn(30, generator=generator, dtype=torch.float64)
    blind, seeing = Spatial(0.5, True, POSITIONS), Spatial(0.5, True, POSITIONS, products_of(changes))
    blind.update(replaced, delta)
    seeing.update(replaced, delta)
    error = [(estimator.estimate().contrast - weights).square().mean() for estimator in (blind, seeing)]
    assert error[1] < 0.7 * error[0]


def test_the_change_of_pixels_is_only_a_prior():
    """Cells that matter although their pixels hardly change are found with enough samples."""
    replaced, delta, weights = sample(600, noise=0.1)
    estimator = Spatial(0.6, True, POSITIONS, products_of(torch.linspace(1, 0.01, 18)))
    estimator.update(replaced, delta)
    torch.testing.assert_close(estimator.estimate().contrast, weights, atol=0.1, rtol=0)


@pytest.mark.parametrize("products", [torch.zeros(18, 3, 3), None])
def test_without_any_change_the_prior_does_not_look(products):
    replaced, delta, _ = sample(40)
    plain, other = Spatial(0.6, True, POSITIONS), Spatial(0.6, True, POSITIONS, products)
    plain.update(replaced, delta)
    other.update(replaced, delta)
    assert torch.equal(plain.estimate().contrast, other.estimate().contrast)


def test_neighbours_share_what_they_learn_only_within_a_view():
    generator = torch.Generator().manual_seed(3)
    replaced = Bernoulli().draw(60, 18, 0.5, generator)
    smooth = torch.cat([torch.ones(9), torch.zeros(9)]).double()
    delta = replaced.double() @ smooth + 2 * torch.randn(60, generator=generator, dtype=torch.float64)
    alone, together = Spatial(0.5, True), Spatial(0.5, True, POSITIONS)
    alone.update(replaced, delta)
    together.update(replaced, delta)
    error = [(estimator.estimate().contrast - smooth).square().mean() for estimator in (alone, together)]
    assert error[1] < error[0]


def test_intervals_cover():
    covered = []
    for seed in range(60):
        replaced, delta, weights = sample(64, seed, noise=1.0)
        estimator = Spatial(0.6, True, POSITIONS)
        estimator.update(replaced, delta)
        result = estimator.estimate()
        covered.append(((result.contrast - weights).abs() < 1.96 * result.standard_error).double().mean())
    assert 0.9 < torch.stack(covered).mean() < 0.99


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_policy_that_never_moves_and_too_few_samples_are_defined(count):
    estimator = Spatial(0.6, True, POSITIONS)
    estimator.update(torch.ones(count, 18, dtype=torch.bool), torch.full((count,), 2.0))
    result = estimator.estimate()
    assert result.contrast.abs().max() == 0
    assert all(math.isnan(value) for value in result.standard_error)
    assert result.iss[0] == 2


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"must be in \(0, 1\), got 0"):
        Spatial(0, True)
    with pytest.raises(ValueError, match="no samples yet"):
        Spatial(0.5, True).estimate()
