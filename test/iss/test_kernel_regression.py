# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch
from kernels import POSITIONS, some_interventions, some_products, some_values

from vla_iss_ros.iss.estimators.coalition_kernel import CoalitionKernel, Interventions, Surface
from vla_iss_ros.iss.estimators.kernel_regression import (
    Answers,
    Posterior,
    learn,
    log_evidence,
    negative_log_posterior,
)

SURFACE = Surface.of(some_products(), POSITIONS)


def some_answers(count=20, outputs=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    given = some_interventions(count=count, seed=seed)
    moves = given.replaced[:, :3] @ torch.randn(3, outputs, generator=generator, dtype=torch.float64)
    return given, moves + 0.1 * torch.randn(count, outputs, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("count", "outputs"), [(20, 6), (6, 20), (1, 1), (2, 3), (3, 2)])
def test_scores_keep_the_inner_products_of_the_moves(count, outputs):
    given, moves = some_answers(count, outputs)
    scores = Answers.of(given, moves).scores
    energy = float(moves.square().sum())
    assert float((scores @ scores.T - moves @ moves.T).abs().max()) < 2e-4 * energy
    assert scores.shape[1] <= min(count, outputs)


@pytest.mark.parametrize("frames", [1, 3])
def test_the_slope_of_the_posterior_equals_finite_differences(frames):
    given = some_interventions(frames=frames)
    scores = torch.randn(20, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values, answers = some_values(SURFACE), Answers(given, scores, 4)
    _, slope = negative_log_posterior(SURFACE, 0.5, answers, values)
    for place in range(len(values)):
        step = torch.zeros_like(values)
        step[place] = 1e-5
        above, _ = negative_log_posterior(SURFACE, 0.5, answers, values + step)
        below, _ = negative_log_posterior(SURFACE, 0.5, answers, values - step)
        assert slope[place].item() == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-5)


def test_learning_finds_the_cells_that_matter():
    given, moves = some_answers(60)
    answers = Answers.of(given, moves)
    start = CoalitionKernel.prior_values(SURFACE)
    values = learn(SURFACE, 0.5, answers, start, 25)
    before, after = (CoalitionKernel(SURFACE, each, 0.5) for each in (start, values))
    early = given.pictures == 0
    (learned,), (unlearned,) = (log_evidence(each, answers, early, [0.0]) for each in (after, before))
    assert learned > unlearned + 5
    share = after.weights[:3].square().sum() / after.weights.square().sum()
    assert share > 0.8
    assert share > before.weights[:3].square().sum() / before.weights.square().sum() + 0.2


@pytest.mark.parametrize("picture", [0, 1])
def test_evidence_of_older_answers_is_that_of_answers_given_then(picture):
    given, moves = some_answers()
    early = given.pictures == picture
    given = dataclasses.replace(given, times=-2.0 * early - torch.arange(20) % 3 * early)
    kernel, answers = CoalitionKernel(SURFACE, some_values(SURFACE), 0.5), Answers.of(given, moves)
    ages = (0.0, 3.0, 1e6)
    found = log_evidence(kernel, answers, early, ages)
    assert len(set(found)) == 3
    for value, each in zip(found, [given.times - age * early for age in ages], strict=True):
        # From its definition: a Gaussian of one output whose scale is the likeliest.
        then = Interventions(given.replaced, given.pictures, each)
        covariance = kernel.gram(then, then) + kernel.noise * torch.eye(len(each))
        energy = (answers.scores * torch.linalg.solve(covariance, answers.scores)).sum()
        wanted = -0.5 * len(each) * energy.log() - 0.5 * torch.logdet(covariance)
        assert value == pytest.approx(wanted.item(), rel=1e-9)


def test_learning_does_not_depend_on_the_scale_of_the_action():
    given, moves = some_answers()
    start = CoalitionKernel.prior_values(SURFACE)
    small = learn(SURFACE, 0.5, Answers.of(given, moves), start, 5)
    large = learn(SURFACE, 0.5, Answers.of(given, 1e3 * moves), start, 5)
    torch.testing.assert_close(small, large, rtol=1e-6, atol=1e-8)


def test_each_left_out_prediction_equals_that_of_a_fit_without_it():
    given, moves = some_answers(12)
    kernel = CoalitionKernel(SURFACE, some_values(SURFACE), 0.5)
    answers = Answers.of(given, moves)
    found = Posterior.of(kernel, answers).divergence_left_out()
    for place in range(12):
        rest = torch.arange(12) != place
        others = Interventions(given.replaced[rest], given.pictures[rest], given.times[rest])
        alone = Interventions(
            *(each[place : place + 1] for each in (given.replaced, given.pictures, given.times))
        )
        refit = Posterior.of(kernel, Answers(others, answers.scores[rest], answers.outputs))
        assert found[place].item() == pytest.approx(refit.divergence(alone).item(), rel=1e-6)


def test_with_little_noise_the_answers_are_met():
    given, moves = some_answers(10)
    values = some_values(SURFACE)
    values[-2] = -10.0
    posterior = Posterior.of(CoalitionKernel(SURFACE, values, 0.5), Answers.of(given, moves))
    torch.testing.assert_close(posterior.divergence(given), moves.square().mean(1), rtol=0.05, atol=1e-3)


def test_draws_of_the_error_have_the_closed_form_mean():
    """E[(m + e)^2 - m^2] is the variance of e."""
    given, moves = some_answers(16)
    kernel = CoalitionKernel(SURFACE, some_values(SURFACE), 0.5)
    posterior = Posterior.of(kernel, Answers.of(given, moves))
    at = some_interventions(count=5, seed=7)
    normal = torch.randn(5, 2, 20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = posterior.divergence_errors(at, 2, normal)
    across = kernel.gram(at, given)
    variance = kernel.gram(at, at).diagonal() - (across @ posterior.inverse * across).sum(1)
    expected = variance * posterior.deviations[:2].square().sum() / 6
    spread = errors.std(1) / 20000**0.5
    assert ((errors.mean(1) - expected).abs() < 5 * spread + 1e-5).all()


def test_interventions_that_are_the_same_do_not_break_the_fit():
    """All samples replace everything from one picture, with hardly any noise: the covariance is singular."""
    given = Interventions.sort(torch.ones(30, 8), torch.zeros(30, dtype=torch.int64), torch.zeros(30))[0]
    values = some_values(SURFACE)
    values[-3], values[-2] = 10.0, -10.0
    answers = Answers.of(given, torch.ones(30, 4, dtype=torch.float64))
    posterior = Posterior.of(CoalitionKernel(SURFACE, values, 0.5), answers)
    assert posterior.divergence(given)[0].item() == pytest.approx(1.0, abs=0.05)
    normal = torch.ones(30, 1, 2, dtype=torch.float64)
    assert torch.isfinite(posterior.divergence_errors(given, 1, normal)).all()
