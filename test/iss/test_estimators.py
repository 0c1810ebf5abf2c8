# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_iss_ros.iss.designs import Balanced, Bernoulli, Sobol
from vla_iss_ros.iss.estimators import REGISTRY
from vla_iss_ros.iss.estimators.arms import Hajek, HorvitzThompson
from vla_iss_ros.iss.estimators.regression_adjusted import RegressionAdjusted

REPLACED = torch.tensor([[1, 0], [1, 1], [0, 1], [1, 0]], dtype=torch.bool)
DELTA = torch.tensor([1.0, 5.0, 2.0, 3.0])
# The surrogate keeps a bias where the policy is not additive; its own tests hold it to what it promises.
SAMPLED = sorted(name for name, kind in REGISTRY.items() if kind.plan is None)
CONSISTENT = sorted(set(SAMPLED) - {"surrogate"})


def feed(estimator, replaced, delta, block):
    """Give samples in blocks; one number moves, so that delta is the square of the move."""
    for start in range(0, len(delta), block):
        rows = slice(start, start + block)
        estimator.update(replaced[rows], delta[rows], moves=delta[rows, None].sqrt())
    return estimator.estimate()


def interventions_for(name, cells, generator):
    """Return balanced samples, or for an estimator with a plan all that it lists."""
    plan = REGISTRY[name].plan
    if plan is None:
        return torch.cat([Balanced().draw(8, cells, 0.6, generator) for _ in range(3)])
    enumeration = plan.enumerate(cells, 1, 24, generator)
    return enumeration.rows(torch.arange(enumeration.length))[0]


def nonlinear(replaced: torch.Tensor) -> torch.Tensor:
    """A divergence with an interaction: cell 0 matters alone, cells 1 and 2 only together."""
    z = replaced.double()
    return 2 * z[:, 0] + 3 * z[:, 1] * z[:, 2]


def exact(cells: int, probability: float) -> tuple[torch.Tensor, torch.Tensor]:
    coalitions = torch.tensor(list(itertools.product([False, True], repeat=cells)))
    size = coalitions.double().sum(1)
    weight = probability**size * (1 - probability) ** (cells - size)
    z, moved = coalitions.double(), weight * nonlinear(coalitions)
    iss = (moved @ z) / (weight @ z)
    return iss, iss - (moved @ (1 - z)) / (weight @ (1 - z))


@pytest.mark.parametrize("block", [1, 2, 3])
def test_hajek_by_hand(block):
    result = feed(Hajek(0.5, independent=True), REPLACED, DELTA, block)
    assert result.iss.tolist() == pytest.approx([9 / 3, 7 / 2])
    assert result.contrast.tolist() == pytest.approx([9 / 3 - 2, 7 / 2 - 4 / 2])
    # Cell 1: arms {5, 2} and {1, 3}: sample variances 4.5 and 2, two samples each.
    assert result.standard_error[1].item() == pytest.approx(math.sqrt(4.5 / 2 + 2 / 2))
    assert math.isnan(result.standard_error[0].item())  # one sample kept cell 0
    assert result.samples == 4


@pytest.mark.parametrize("block", [1, 2, 3])
def test_horvitz_thompson_by_hand(block):
    result = feed(HorvitzThompson(0.7, independent=True), REPLACED, DELTA, block)
    assert result.iss.tolist() == pytest.approx([9 / (4 * 0.7), 7 / (4 * 0.7)])
    assert result.contrast[1].item() == pytest.approx(7 / 2.8 - 4 / (4 * 0.3))
    terms = torch.tensor([-1 / 0.3, 5 / 0.7, 2 / 0.7, -3 / 0.3], dtype=torch.float64)
    assert result.standard_error[1].item() == pytest.approx(terms.std().item() / 2)


def test_hajek_takes_out_what_a_picture_does_alone():
    """Two donors: the second moves the action by 10 more whatever is replaced."""
    generator = torch.Generator().manual_seed(0)
    replaced = Bernoulli().draw(64, 3, 0.5, generator)
    pictures = torch.arange(64) % 2
    delta = replaced[:, 0].double() + 10 * pictures
    plain, stratified = Hajek(0.5, True), Hajek(0.5, True)
    plain.update(replaced, delta)
    stratified.update(replaced, delta, pictures)
    assert stratified.estimate().contrast[0].item() == pytest.approx(1, abs=0.1)
    assert stratified.estimate().contrast[1:].abs().max() < 0.35
    assert (plain.estimate().standard_error > 5 * stratified.estimate().standard_error).all()
    assert stratified.estimate().iss[0].item() == pytest.approx(delta.mean().item() + 0.5, abs=0.2)


def test_pictures_with_few_samples_are_left_alone():
    few = Hajek(0.5, True)
    few.update(REPLACED, DELTA, torch.tensor([0, 0, 1, 1]))
    assert few.estimate().iss.tolist() == pytest.approx([9 / 3, 7 / 2])


def test_horvitz_thompson_uses_the_realised_count_under_a_balanced_design():
    balanced = feed(HorvitzThompson(0.7, independent=False), REPLACED, DELTA, 4)
    assert balanced.iss.tolist() == pytest.approx([9 / 3, 7 / 2])


@pytest.mark.parametrize("name", CONSISTENT)
@pytest.mark.parametrize("design", [Bernoulli(), Balanced(), Sobol()], ids=["bernoulli", "balanced", "sobol"])
def test_converges_to_the_enumeration_of_all_coalitions(name, design):
    iss, contrast = exact(5, 0.7)
    estimator = REGISTRY[name](0.7, design.independent)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        replaced = design.draw(64, 5, 0.7, generator)
        delta = nonlinear(replaced)
        estimator.update(replaced, delta, moves=delta[:, None].sqrt())
    result = estimator.estimate()
    # 19,200 samples; fixed denominators leave about three times the noise of realised ones.
    tolerance = 0.2 if name == "horvitz_thompson" and design.independent else 0.06
    torch.testing.assert_close(result.iss, iss, atol=tolerance, rtol=0)
    torch.testing.assert_close(result.contrast, contrast, atol=1.5 * tolerance, rtol=0)
    assert ((result.contrast - contrast).abs() < 5 * result.standard_error).all()


@pytest.mark.parametrize("estimator", [HorvitzThompson, RegressionAdjusted])
def test_unbiased_at_few_samples(estimator):
    iss, _ = exact(4, 0.7)
    estimates = []
    for seed in range(400):
        replaced = Bernoulli().draw(8, 4, 0.7, torch.Generator().manual_seed(seed))
        estimates.append(feed(estimator(0.7, True), replaced, nonlinear(replaced), 8).iss)
    stacked = torch.stack(estimates)
    z_scores = (stacked.mean(0) - iss) / (stacked.std(0) / 20)
    assert z_scores.abs().max() < 4


# The emulator's standard error is widened on purpose; its own tests and the benchmark hold it to its coverage.
@pytest.mark.parametrize("name", [name for name in CONSISTENT if name != "emulator"])
@pytest.mark.parametrize("design", [Bernoulli(), Balanced()], ids=["bernoulli", "balanced"])
def test_standard_error_has_the_size_of_the_error(name, design):
    _, contrast = exact(6, 0.5)
    squares = []
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        estimator = REGISTRY[name](0.5, design.independent)
        for _ in range(8):
            replaced = design.draw(32, 6, 0.5, generator)
            delta = nonlinear(replaced)
            estimator.update(replaced, delta, moves=delta[:, None].sqrt())
        result = estimator.estimate()
        squares.append(((result.contrast - contrast) / result.standard_error).square())
    # A cell's mean squared ratio is 1 when its standard error is right; blocks share their variance between cells,
    # so only the mean over cells is held to it.
    assert torch.stack(squares).mean().item() == pytest.approx(1.0, abs=0.35)


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 50))
# The emulator is asked about fixed interventions, which are not permuted with the cells.
@pytest.mark.parametrize("name", [name for name in sorted(REGISTRY) if name != "emulator"])
def test_scaling_and_permutation(name, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    replaced = interventions_for(name, 6, generator)
    delta = torch.rand(len(replaced), generator=generator, dtype=torch.float64)
    order = torch.randperm(6, generator=generator)
    plain = feed(REGISTRY[name](0.6, False), replaced, delta, 8)
    scaled = feed(REGISTRY[name](0.6, False), replaced[:, order], delta * scale, 8)
    torch.testing.assert_close(scaled.contrast, plain.contrast[order] * scale, rtol=1e-3, atol=1e-6 * scale)
    torch.testing.assert_close(
        scaled.standard_error, plain.standard_error[order] * scale, rtol=1e-3, atol=1e-6 * scale
    )


@pytest.mark.parametrize("name", ["hajek", "horvitz_thompson"])
def test_one_block_of_a_balanced_design_has_no_standard_error(name):
    result = feed(REGISTRY[name](0.6, False), REPLACED, DELTA, 4)
    assert torch.isnan(result.standard_error).all()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_policy_that_never_moves_has_a_zero_contrast(name):
    replaced = interventions_for(name, 5, torch.Generator().manual_seed(0))
    still = feed(REGISTRY[name](0.5, False), replaced, torch.zeros(len(replaced)), 10)
    assert still.contrast.abs().max() == 0


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"must be in \(0, 1\), got 1.2"):
        Hajek(1.2, True)
    with pytest.raises(ValueError, match="no samples yet"):
        Hajek(0.5, True).estimate()
    with pytest.raises(ValueError, match=r"got \[4, 2\] and \[3\]"):
        Hajek(0.5, True).update(REPLACED, DELTA[:3])
    with pytest.raises(ValueError, match="must be finite"):
        Hajek(0.5, True).update(REPLACED, torch.tensor([1.0, float("nan"), 1.0, 1.0]))
