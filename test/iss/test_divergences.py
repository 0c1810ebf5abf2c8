# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every divergence against a case whose value is known."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Normal, kl_divergence

from vla_iss_ros.iss.distributions import Categorical, DenoisingMeans, Gaussian, Velocities, euler_widths
from vla_iss_ros.iss.divergences import REGISTRY, for_policy
from vla_iss_ros.iss.observation import Actions


def answers(distribution, rows: int) -> Actions:
    return Actions(torch.zeros(rows, 1, 1), torch.zeros(rows, 1, 1), distribution)


def rows_of(actions: Actions, start: int, stop: int | None) -> Actions:
    return actions.take(slice(start, stop))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_action_mse_by_hand(rows):
    actions = torch.zeros(rows, 2, 2)
    actions[-1] = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    found = REGISTRY["action_mse"](
        Actions(actions, actions), Actions(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))
    )
    assert found.tolist() == [0.0] * (rows - 1) + [1.25]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_gaussian_kl_is_that_of_torch(rows):
    generator = torch.Generator().manual_seed(rows)
    mean = torch.randn(rows + 1, 4, generator=generator)
    variance = torch.rand(rows + 1, 4, generator=generator) + 0.1
    both = answers(Gaussian(mean, variance), rows + 1)
    found = REGISTRY["gaussian_kl"](rows_of(both, 1, None), rows_of(both, 0, 1))
    normal = Normal(mean, variance.sqrt())
    expected = kl_divergence(
        Normal(normal.loc[:1], normal.scale[:1]), Normal(normal.loc[1:], normal.scale[1:])
    ).sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_two_bins_by_hand():
    # p = (1/2, 1/2), q = (1/4, 3/4): KL = log 2 - log(3) / 2.
    logits = torch.tensor([[[0.0, 0.0]], [[0.0, math.log(3.0)]]])
    both = answers(Categorical(logits), 2)
    found = REGISTRY["categorical_kl"](rows_of(both, 0, None), rows_of(both, 0, 1))
    torch.testing.assert_close(found, torch.tensor([0.0, math.log(2) - math.log(3) / 2]))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_categorical_kl_is_summed_over_tokens_and_ignores_constants(rows):
    generator = torch.Generator().manual_seed(rows)
    logits = torch.randn(rows + 1, 7, 5, generator=generator)
    both = answers(Categorical(logits + 11.0), rows + 1)
    found = REGISTRY["categorical_kl"](rows_of(both, 1, None), rows_of(both, 0, 1))
    expected = kl_divergence(TorchCategorical(logits=logits[:1]), TorchCategorical(logits=logits[1:])).sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("deviation", [0.2, 0.5, 1.0])
def test_flow_path_kl_of_one_dimensional_gaussians_is_the_true_one(rows, deviation):
    # Of actions N(mu, s^2) on x_t = t noise + (1 - t) action, a shift of mu by d moves the velocity at every x_t by
    # -t d / (t^2 + (1 - t)^2 s^2); the weighted integral is then d^2 / (2 s^2), the KL of the two Gaussians.
    steps = 20000
    times = 1 - torch.arange(steps) / steps
    shifts = torch.arange(rows + 1, dtype=torch.float32) * 0.3
    spread = times**2 + (1 - times) ** 2 * deviation**2
    velocity = -(times / spread) * shifts[:, None]
    both = answers(Velocities(velocity[:, :, None, None], times, euler_widths(times)), rows + 1)
    found = REGISTRY["flow_path_kl"](rows_of(both, 1, None), rows_of(both, 0, 1))
    torch.testing.assert_close(found, (shifts[1:] ** 2) / (2 * deviation**2), rtol=2e-3, atol=1e-6)


def test_ten_euler_steps_bound_a_wide_flow_nearly():
    # At a policy's own ten steps the integral is coarse; for a unit Gaussian it is within a tenth.
    times = 1 - torch.arange(10) / 10
    spread = times**2 + (1 - times) ** 2
    velocity = torch.stack([torch.zeros(10), -times / spread])[:, :, None, None]
    both = answers(Velocities(velocity, times, euler_widths(times)), 2)
    found = REGISTRY["flow_path_kl"](rows_of(both, 1, None), rows_of(both, 0, 1))
    assert found.item() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_ddpm_path_kl_is_the_sum_of_the_steps_own(rows):
    generator = torch.Generator().manual_seed(rows)
    means = torch.randn(rows + 1, 4, 2, 3, generator=generator)
    variances = torch.tensor([0.5, 0.1, 2.0, 1.0])
    both = answers(DenoisingMeans(means, variances), rows + 1)
    found = REGISTRY["ddpm_path_kl"](rows_of(both, 1, None), rows_of(both, 0, 1))
    scale = variances.sqrt().view(1, 4, 1, 1)
    expected = kl_divergence(Normal(means[:1], scale), Normal(means[1:], scale)).sum((1, 2, 3))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 1000), st.sampled_from(["action_mse", "flow_path_kl", "ddpm_path_kl"]))
def test_mean_squared_moves_are_the_divergence(seed, name):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(3, 2, 2, 2, generator=generator)
    times = torch.tensor([1.0, 0.4])
    distributions = {
        "action_mse": None,
        "flow_path_kl": Velocities(values, times, euler_widths(times)),
        "ddpm_path_kl": DenoisingMeans(values, torch.tensor([0.3, 0.7])),
    }
    chunk = torch.randn(3, 2, 2, generator=generator)
    actions = Actions(chunk, chunk, distributions[name])
    divergence, reference = REGISTRY[name], actions.take(slice(0, 1))
    torch.testing.assert_close(
        divergence.moves(actions, reference).square().mean(1),
        divergence(actions, reference),
        rtol=1e-5,
        atol=1e-6,
    )
    assert divergence(actions, reference)[0] == 0


def policy(distribution: str, **more) -> SimpleNamespace:
    return SimpleNamespace(spec=SimpleNamespace(distribution=distribution), **more)


def test_a_policy_without_the_distribution_is_refused_with_what_it_has():
    with pytest.raises(ValueError, match="set divergence to action_mse or categorical_kl"):
        for_policy("flow_path_kl", policy("categorical", reference_path=None), uses_moves=False)
    with pytest.raises(ValueError, match=r"gives its action chunk alone; set divergence to action_mse$"):
        for_policy("gaussian_kl", policy(""), uses_moves=False)


def test_a_policy_without_a_path_is_refused():
    with pytest.raises(ValueError, match="needs a policy with reference_path"):
        for_policy("ddpm_path_kl", policy("ddpm"), uses_moves=True)


def test_estimators_of_moves_refuse_divergences_without():
    with pytest.raises(ValueError, match="set estimator to spatial"):
        for_policy("gaussian_kl", policy("gaussian"), uses_moves=True)
    assert for_policy("gaussian_kl", policy("gaussian"), uses_moves=False) is REGISTRY["gaussian_kl"]
    with pytest.raises(ValueError, match="no mean of squared moves"):
        REGISTRY["gaussian_kl"].moves(answers(None, 1), answers(None, 1))


def test_an_answer_without_its_distribution_names_the_adapter():
    with pytest.raises(ValueError, match="must carry Gaussian, got none; check its adapter"):
        REGISTRY["gaussian_kl"](answers(None, 1), answers(None, 1))
