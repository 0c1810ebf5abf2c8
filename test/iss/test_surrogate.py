# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import itertools

import pytest
import torch

from vla_iss_ros.iss.designs import Balanced, Bernoulli
from vla_iss_ros.iss.estimators.regression_adjusted import RegressionAdjusted
from vla_iss_ros.iss.estimators.surrogate import LinearAnswer, Surrogate

Q, CELLS, OUTPUTS = 0.6, 6, 4


def additive(seed=0):
    generator = torch.Generator().manual_seed(seed)
    slope = torch.randn(CELLS, OUTPUTS, generator=generator, dtype=torch.float64)
    return lambda replaced: 0.5 + replaced.double() @ slope


def exact(function):
    """Weigh all coalitions: the saliency of the mean squared move, replaced and kept."""
    coalitions = torch.tensor(list(itertools.product([False, True], repeat=CELLS)))
    size = coalitions.double().sum(1)
    weight = Q**size * (1 - Q) ** (CELLS - size)
    z, moved = coalitions.double(), weight * function(coalitions).square().mean(1)
    return (moved @ z) / (weight @ z), (moved @ (1 - z)) / (weight @ (1 - z))


def feed(estimator, function, count, block, seed=0):
    replaced = Balanced().draw(count, CELLS, Q, torch.Generator().manual_seed(seed))
    moves = function(replaced)
    for start in range(0, count, block):
        rows = slice(start, start + block)
        estimator.update(replaced[rows], moves[rows].square().mean(1), moves=moves[rows])
    return estimator.estimate()


@pytest.mark.parametrize("block", [1, 2, 3])
def test_an_additive_policy_is_recovered_exactly_from_few_samples(block):
    iss, kept = exact(additive())
    result = feed(Surrogate(Q, False), additive(), 24, block)
    torch.testing.assert_close(result.iss, iss, rtol=0.05, atol=0.02)
    torch.testing.assert_close(result.contrast, iss - kept, rtol=0.05, atol=0.05)


def test_arms_are_the_sums_over_all_coalitions():
    generator = torch.Generator().manual_seed(1)
    offsets, slope = (torch.randn(n, OUTPUTS, generator=generator, dtype=torch.float64) for n in (3, CELLS))
    answer = LinearAnswer(Q, offsets, slope, torch.zeros(CELLS))
    each = [exact(lambda z, row=row: row + (z.double() - Q) @ slope) for row in offsets]
    iss, kept = (torch.stack(arm).mean(0) for arm in zip(*each, strict=True))
    torch.testing.assert_close(answer.arms()[0], iss)
    torch.testing.assert_close(answer.arms()[1], kept)


def test_donors_that_move_the_action_by_themselves_do_not_disturb():
    replaced = Bernoulli().draw(60, CELLS, Q, torch.Generator().manual_seed(2))
    pictures = torch.arange(60) % 3
    moves = additive()(replaced) + 10 * pictures[:, None]
    estimator = Surrogate(Q, True)
    estimator.update(replaced, moves.square().mean(1), pictures, moves)
    each = [exact(lambda z, shift=shift: additive()(z) + 10 * shift) for shift in range(3)]
    contrast = torch.stack([iss - kept for iss, kept in each]).mean(0)
    torch.testing.assert_close(estimator.estimate().contrast, contrast, rtol=0.02, atol=0.1)


def test_adjustment_takes_the_bias_away_that_the_surrogate_keeps():
    def product(replaced):
        z = replaced.double()
        return torch.stack([z[:, 0] * z[:, 1], z[:, 2] * (1 - z[:, 3])], 1) * 3

    iss, kept = exact(product)
    errors = {}
    for kind in (Surrogate, RegressionAdjusted):
        result = feed(kind(Q, False), product, 8000, 8000)
        errors[kind] = float((result.contrast - (iss - kept)).abs().max())
    assert errors[Surrogate] > 0.3
    assert errors[RegressionAdjusted] < 0.15


def test_a_policy_that_never_moves_has_a_zero_map():
    for kind in (Surrogate, RegressionAdjusted):
        assert feed(kind(Q, False), lambda z: torch.zeros(len(z), 2), 16, 8).contrast.abs().max() == 0


def test_bad_input_is_refused():
    replaced = torch.ones(2, CELLS, dtype=torch.bool)
    for kind in (Surrogate, RegressionAdjusted):
        estimator = kind(Q, True)
        estimator.update(replaced.repeat(2, 1), torch.ones(4))
        with pytest.raises(ValueError, match="give update the moves"):
            estimator.estimate()
        with pytest.raises(ValueError, match=r"must be in \(0, 1\), got 1"):
            kind(1, True)
    few = RegressionAdjusted(Q, True)
    few.update(replaced, torch.ones(2), moves=torch.ones(2, 1))
    with pytest.raises(ValueError, match="at least 4 samples, got 2"):
        few.estimate()
