# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch
from checked_policy import CheckedPolicy, see

from vla_iss_ros.analysis.policy_answers import check_absent_cameras, check_finite, check_noise
from vla_iss_ros.analysis.policy_subject import Subject


def subject(policy):
    return Subject(policy, [see(0), see(1)], 1e-3, lambda: 0.0)


def with_spec(**changes):
    policy = CheckedPolicy()
    policy.spec = dataclasses.replace(policy.spec, **changes)
    return policy


@pytest.mark.parametrize("changes", [{"horizon": 3}, {"action_names": ("x", "y")}])
def test_answers_have_the_shape_of_the_specification(changes):
    check = check_finite(subject(with_spec(**changes)))
    assert check.status == "FAIL"
    assert check.figure.startswith("answers [1, 2, 3], its specification says [1, ")


def test_numbers_that_are_not_finite_are_counted():
    class Half(CheckedPolicy):
        def act(self, views, base, noise):
            answer = super().act(views, base, noise)
            answer[:, 0] = float("inf")
            return answer

    check = check_finite(subject(Half()))
    # One of two steps, three dimensions, two units, two observations.
    assert (check.status, check.values["bad"]) == ("FAIL", 12)


def test_noise_must_come_from_the_generator():
    class OwnNoise(CheckedPolicy):
        drawn = 0.0

        def sample_noise(self, generator):
            self.drawn += 1
            return torch.full((1, 2, 3), self.drawn)

    check = check_noise(subject(OwnNoise()))
    assert (check.status, check.remedy) == (
        "FAIL",
        "draw noise from the generator alone, and from nothing else",
    )
    # Two draws more: 0.3 times the difference of the noises.
    assert check.values["same"] == pytest.approx(0.3, abs=1e-6)


def test_noise_must_have_the_promised_shape():
    check = check_noise(subject(with_spec(noise_shape=(4,))))
    assert (check.status, check.figure) == (
        "FAIL",
        "sample_noise draws [1, 2, 3], noise_shape promises [1, 4]",
    )


class Deterministic(CheckedPolicy):
    def sample_noise(self, generator):
        return None

    def act(self, views, base, noise):
        return super().act(views, base, torch.zeros(1, 2, 3))


def test_policies_without_noise_are_skipped_only_where_they_promise_none():
    check = check_noise(subject(Deterministic()))
    assert (check.status, "noise_shape is [2, 3] and sample_noise draws none") == ("FAIL", check.figure)
    policy = Deterministic()
    policy.spec = dataclasses.replace(policy.spec, noise_shape=None)
    assert check_noise(subject(policy)).status == "skip"
    check = check_noise(subject(with_spec(shares_noise=False)))
    assert (check.status, check.figure) == ("skip", "the policy cannot be given its noise")


def test_one_camera_has_no_absent_ones():
    policy = CheckedPolicy()
    policy.spec = dataclasses.replace(policy.spec, cameras=policy.spec.cameras[:1])
    assert check_absent_cameras(subject(policy)).status == "skip"
