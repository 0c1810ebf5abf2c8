# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy that draws its own noise: what its answers vary by is the noise floor."""

from types import SimpleNamespace

import pytest
import torch
from toys import ToyPolicy, observe

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import REPEATS, Explainer
from vla_iss_ros.iss.observation import Actions


class Noisy(ToyPolicy):
    def __init__(self):
        super().__init__(lambda images: images.mean((1, 2, 3, 4))[:, None, None])
        self.spec = SimpleNamespace(**{**vars(self.spec), "shares_noise": False})
        self.generator = torch.Generator().manual_seed(0)
        self.alone = []

    def run_pixels(self, base, images, noise):
        actions = super().run_pixels(base, images, noise)
        drawn = actions.normalised + torch.randn(actions.normalised.shape, generator=self.generator)
        if not images:
            self.alone.append(float(drawn[0]))
        return Actions(drawn, drawn)


@pytest.mark.parametrize("batch_size", [2, 64])
def test_the_floor_is_the_largest_move_of_repeated_answers(batch_size):
    chosen = settings.check(
        {"samples": 32, "grid": 2, "estimator": "hajek", "effects": False, "batch_size": batch_size}
    )
    policy = Noisy()
    explanation = Explainer(policy, chosen, [observe(1), observe(2)]).explain(observe(0))
    reference, *again = policy.alone
    assert len(again) == REPEATS
    largest = max((value - reference) ** 2 for value in again)
    assert explanation.noise_floor >= 0.999 * largest > 0.1
    assert not explanation.shared_noise
    assert "noise is not shared" in explanation.method


def test_nothing_is_repeated_where_noise_is_shared():
    policy = ToyPolicy(lambda images: images.mean((1, 2, 3, 4))[:, None, None])
    chosen = settings.check({"samples": 32, "grid": 2, "estimator": "hajek", "effects": False})
    explanation = Explainer(policy, chosen, [observe(1), observe(2)]).explain(observe(0))
    assert policy.batches.count(1) == 1
    assert explanation.noise_floor == pytest.approx(0, abs=1e-12)
    assert "noise" not in explanation.method
