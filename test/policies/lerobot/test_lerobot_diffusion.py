# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Diffusion beside the library's own sampler, its shared noise, and its path."""

import pytest
import torch

from vla_iss_ros.iss.divergences import REGISTRY
from vla_iss_ros.policies.lerobot.given_noise import GivenNoise
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.protocol import PathPolicy, TokenPolicy


@pytest.fixture
def tiny(lerobot_policies):
    import tiny_lerobot

    return tiny_lerobot


@pytest.fixture
def policy(lerobot_policy):
    return lerobot_policy("diffusion")


@pytest.fixture
def base(policy, tiny):
    return policy.preprocess(tiny.observe())


@pytest.fixture
def noise(policy):
    return policy.sample_noise(torch.Generator().manual_seed(3))


def history(tiny, policy, observation):
    """Return the batch that the library's queues would hold: the same observation twice."""
    batch = policy.processors._pre(tiny.raw(observation))
    images = torch.stack([batch[f"observation.images.{name}"] for name in tiny.CAMERAS], -4)
    return {
        "observation.state": torch.stack([batch["observation.state"]] * 2, 1),
        "observation.images": torch.stack([images] * 2, 1),
    }


class InOrder(GivenNoise):
    """Gives the rows of noise one after the other, as the library's sampler asks for them."""

    def __init__(self, rows):
        self._rows = iter(rows)
        super().__init__(next(self._rows))

    def __torch_function__(self, func, types, args=(), kwargs=None):
        answer = super().__torch_function__(func, types, args, kwargs)
        if func is torch.randn:
            self._noise = next(self._rows, None)
        return answer


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_it_samples_as_the_library_does(policy, tiny, base, noise, rows):
    batch = history(tiny, policy, tiny.observe(size=(48, 64)))
    ours = policy.preprocess(tiny.observe(size=(48, 64)))
    with InOrder(noise[0, 1:]), torch.no_grad():
        theirs = policy.network.diffusion.generate_actions(batch, noise=noise[:, 0])
    images = {name: image.expand(rows, -1, -1, -1) for name, image in ours.images.items()}
    actions = policy.run_pixels(ours, images, noise)
    torch.testing.assert_close(actions.normalised, theirs.expand(rows, -1, -1), rtol=1e-4, atol=1e-5)


def test_the_noise_of_every_step_is_shared(policy, base, noise):
    assert noise.shape == (1, 6, 8, 5)  # the sample, and five of six steps: the last draws none
    rows = {name: image.expand(4, -1, -1, -1) for name, image in base.images.items()}
    answers = policy.run_pixels(base, rows, noise).normalised
    assert (answers - answers[:1]).abs().max() < 5e-6
    later = noise.clone()
    later[:, 4] += 1
    assert (policy.run_pixels(base, {}, later).normalised - answers[:1]).abs().max() > 1e-3


def test_it_offers_a_path_and_no_tokens(policy):
    assert isinstance(policy, PathPolicy)
    assert not isinstance(policy, TokenPolicy)
    assert policy.spec.distribution == "ddpm"


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_path_gives_the_means_and_variances_of_the_scheduler(policy, base, noise, rows):
    path = policy.reference_path(base, noise)
    assert path.points.shape == (1, 5, 8, 5)
    torch.testing.assert_close(path.points[:, 0], noise[:, 0])
    images = {name: image.expand(rows, -1, -1, -1) for name, image in base.images.items()}
    found = policy.run_pixels(base, images, noise, path=path).distribution
    assert found.values.shape == (rows, 5, 8, 5)
    scheduler = policy.network.diffusion.noise_scheduler
    variances = torch.tensor([float(scheduler._get_variance(int(t))) for t in scheduler.timesteps[:-1]])
    torch.testing.assert_close(found.variances, variances, rtol=1e-5, atol=1e-12)
    # The next point of the path is the mean and the noise that its step drew.
    step = found.values[:1, :-1] + variances[:-1].sqrt()[:, None, None] * noise[:, 1:-1]
    torch.testing.assert_close(step, path.points[:, 1:], rtol=1e-4, atol=1e-5)


def test_the_path_divergence_is_zero_for_the_observation_and_not_for_another(policy, tiny, base, noise):
    path = policy.reference_path(base, noise)
    answers = policy.run_pixels(base, tiny.variants(policy, base, 3), noise, path=path)
    deltas = REGISTRY["ddpm_path_kl"](answers, answers.take(slice(0, 1)))
    assert float(deltas[0]) == 0
    assert (deltas[1:] > 0).all()


def test_a_ddim_sampler_draws_no_noise_and_has_no_distribution(tiny, tmp_path):
    directory = tiny.save_diffusion(tmp_path / "ddim", noise_scheduler_type="DDIM")
    policy = load_policy(f"lerobot:{directory}", "cpu")
    assert policy.spec.noise_shape == (1, 8, 5)
    assert policy.spec.distribution == ""
    seen = tiny.observe(size=(48, 64))
    noise = policy.sample_noise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = policy.network.diffusion.generate_actions(history(tiny, policy, seen), noise=noise[:, 0])
    answer = policy.run_pixels(policy.preprocess(seen), {}, noise).normalised
    torch.testing.assert_close(answer, theirs, rtol=1e-4, atol=1e-5)
