# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every family of LeRobot in pixel space, on tiny random policies of the real classes."""

import pytest
import torch

from vla_iss_ros.cli.check_policy import main as check_policy

FAMILIES = ("act", "diffusion", "smolvla", "pi0", "pi05")


@pytest.fixture(params=FAMILIES)
def policy(request, lerobot_policy):
    return lerobot_policy(request.param)


@pytest.fixture
def tiny(lerobot_policies):
    import tiny_lerobot

    return tiny_lerobot


@pytest.fixture
def base(policy, tiny):
    return policy.preprocess(tiny.observe())


@pytest.fixture
def noise(policy):
    return policy.sample_noise(torch.Generator().manual_seed(3))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_row_0_is_the_answer_to_the_observation_whatever_the_batch(policy, tiny, base, noise, rows):
    alone = policy.run_pixels(base, {}, noise)
    batch = policy.run_pixels(base, tiny.variants(policy, base, rows), noise)
    assert batch.normalised.shape == (rows, policy.spec.horizon, len(policy.spec.action_names))
    torch.testing.assert_close(batch.normalised[:1], alone.normalised, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(batch.physical[:1], alone.physical, rtol=1e-4, atol=2e-4)


def test_rows_do_not_see_each_other(policy, tiny, base, noise):
    rows = tiny.variants(policy, base, 3)
    together = policy.run_pixels(base, rows, noise).normalised
    apart = [
        policy.run_pixels(base, {name: image[i : i + 1] for name, image in rows.items()}, noise).normalised
        for i in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=2e-5)
    assert (together[1] - together[0]).abs().max() > 1e-5


def test_identical_rows_have_one_answer(policy, base, noise):
    rows = {name: image.expand(5, -1, -1, -1) for name, image in base.images.items()}
    answers = policy.run_pixels(base, rows, noise).normalised
    assert (answers - answers[:1]).abs().max() < 5e-6  # rounding of a batch's kernels


def test_noise_comes_from_the_generator_alone(policy, base):
    first, again, other = (policy.sample_noise(torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    if policy.spec.noise_shape is None:
        assert first is None
        return
    assert first.shape == (1, *policy.spec.noise_shape)
    torch.testing.assert_close(first, again)
    torch.manual_seed(1)
    answer = policy.run_pixels(base, {}, first).normalised
    torch.manual_seed(2)
    torch.testing.assert_close(policy.run_pixels(base, {}, first).normalised, answer, rtol=0, atol=0)
    assert (policy.run_pixels(base, {}, other).normalised - answer).abs().max() > 1e-3


def test_the_state_is_normalised_and_actions_are_brought_back(policy, tiny, base, noise):
    actions = policy.run_pixels(base, {}, noise)
    kinds = {str(kind): mode.value for kind, mode in policy.config.normalization_mapping.items()}
    low, high, mean, std = (tiny.STATISTICS["action"][name] for name in ("min", "max", "mean", "std"))
    if kinds["ACTION"] == "MEAN_STD":
        expected = actions.normalised * std + mean
    elif kinds["ACTION"] == "MIN_MAX":
        expected = (actions.normalised + 1) / 2 * (high - low) + low
    else:
        low, high = (tiny.STATISTICS["action"][name] for name in ("q01", "q99"))
        expected = (actions.normalised + 1) / 2 * (high - low) + low
    torch.testing.assert_close(actions.physical, expected, rtol=1e-4, atol=1e-4)


def test_the_specification_tells_what_the_directory_does(policy, tiny):
    spec = policy.spec
    assert spec.camera_names == tiny.CAMERAS
    assert len(spec.state_names) == tiny.STATE
    assert len(spec.action_names) == len(spec.action_units) == tiny.ACTIONS
    torch.testing.assert_close(
        torch.tensor(spec.state_mean), tiny.STATISTICS["observation.state"]["mean"], rtol=1e-6, atol=1e-6
    )
    assert len(spec.weights_hash) == 16


@pytest.mark.parametrize("family", FAMILIES)
def test_check_policy_passes(family, lerobot_policies, tiny, capsys):
    directory = lerobot_policies(family)
    with tiny.loadable(family):
        code = check_policy(["--policy", f"lerobot:{directory}", "--synthetic", "--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("check_policy: ")
    assert lines[-1].endswith("passed, 0 failed"), lines
    assert code == 0
