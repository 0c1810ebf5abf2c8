# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch
from toys import ToyPolicy, observe, reads_cell

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.observation import Actions, Observation, Prepared


class WordsAndState(ToyPolicy):
    """Acts by the front camera's mean, the instruction's length and the state."""

    def __init__(self):
        super().__init__(lambda images: images[:, 0].mean((1, 2, 3))[:, None, None])
        self.spec.state_mean = (0.0, 2.0)

    def preprocess(self, observation):
        prepared = super().preprocess(observation)
        state = torch.from_numpy(observation.state).float()
        return Prepared(
            prepared.images, {"offset": torch.tensor(float(len(observation.instruction))), "state": state}
        )

    def run_pixels(self, base, images, noise):
        actions = (
            super().run_pixels(base, images, noise).normalised
            + base.inputs["offset"]
            + base.inputs["state"][1]
        )
        return Actions(actions, actions)


def with_state(seed, instruction):
    plain = observe(seed)
    return Observation(plain.images, instruction, np.array([1.0, 5.0], np.float32), 1)


def effects_of(policy, observation, donors):
    chosen = settings.check({"samples": 32})
    return {effect.name: effect for effect in Explainer(policy, chosen, donors).explain(observation).effects}


def test_by_hand():
    donors = [with_state(seed, "ab") for seed in range(1, 3)]
    observation = with_state(0, "abcd")
    effects = effects_of(WordsAndState(), observation, donors)
    means = [float(np.mean(donor.images["front"] / 255.0)) for donor in donors]
    own = float(np.mean(observation.images["front"] / 255.0))
    assert effects["instruction"].delta == pytest.approx(4.0)  # length 4 -> 2
    assert effects["state"].delta == pytest.approx(9.0)  # 5 -> 2
    assert effects["front"].delta == pytest.approx(np.mean([(mean - own) ** 2 for mean in means]), rel=1e-3)
    assert effects["wrist"].delta == 0
    everything = np.mean([(mean - own - 5) ** 2 for mean in means])
    assert effects["everything"].delta == pytest.approx(everything, rel=1e-5)
    assert effects["state"].share == pytest.approx(9 / everything, rel=1e-5)
    assert effects["everything"].share == 1


def test_shares_do_not_depend_on_the_order_of_the_donors():
    class WordsOnly(WordsAndState):
        def run_pixels(self, base, images, noise):
            count = max((len(rows) for rows in images.values()), default=1)
            actions = base.inputs["offset"].expand(count, 1, 1)
            return Actions(actions, actions)

    donors = [with_state(1, "a"), with_state(2, "abc"), with_state(3, "abcdefgh")]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        effects = effects_of(WordsOnly(), with_state(0, "abcd"), [donors[place] for place in order])
        assert effects["instruction"].delta == pytest.approx((9 + 1 + 16) / 3)
        assert effects["instruction"].share == pytest.approx(1)
        assert effects["front"].share == 0


def test_what_cannot_be_measured_is_nan_with_a_reason():
    policy = ToyPolicy(reads_cell(0, 0, 0))
    effects = effects_of(policy, observe(0), [observe(1)])
    assert math.isnan(effects["instruction"].delta)
    assert "no other instruction" in effects["instruction"].reason
    assert math.isnan(effects["state"].delta)
    assert "mean of its state" in effects["state"].reason


def test_shares_of_a_policy_that_never_moves_are_undefined():
    policy = ToyPolicy(lambda images: torch.zeros(len(images), 1, 1))
    effects = effects_of(policy, observe(0), [observe(1)])
    assert effects["front"].delta == 0
    assert math.isnan(effects["front"].share)
    assert "does not move the action" in effects["front"].reason
