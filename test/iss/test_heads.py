# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""ISS of attention heads: which of them the action passes through."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from toys import ToyPolicy, observe

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.heads import HeadCells, HeadSpace, gather_head_means
from vla_iss_ros.iss.observation import Actions
from vla_iss_ros.iss.tokens import CAMERA, Encoded, Segment


class HeadToy(ToyPolicy):
    """Six heads; head h gives the mean of a frame's images times h + 1, and the action is ``weights`` of them."""

    def __init__(self, weights=(0, 0, 0, 3.0, 0, 0)):
        super().__init__(lambda images: images.mean((1, 2, 3, 4))[:, None, None])
        self.heads = tuple(f"head {index}" for index in range(6))
        self.weights = torch.tensor(weights, dtype=torch.float32)
        self.towers, self.rows = 0, []
        self.spec = SimpleNamespace(**{**vars(self.spec), "distribution": ""})

    def encode(self, base):
        self.towers += 1
        level = torch.stack([image.mean() for image in base.images.values()]).mean()
        return Encoded(level.view(1, 1, 1), (Segment(CAMERA, 0, 1, "front", (1, 1)),))

    def head_outputs(self, encoded, noise):
        return encoded.tokens[0, 0] * torch.arange(1.0, 7)[:, None]

    def run_heads(self, encoded, ablated, means, noise):
        self.rows.append(len(ablated))
        outputs = torch.where(ablated, means[:, 0], self.head_outputs(encoded, noise)[:, 0])
        actions = (outputs @ self.weights)[:, None, None]
        return Actions(actions, actions)


FRAMES = [observe(seed) for seed in range(3)]


def dark(observation):
    images = {name: image // 4 for name, image in observation.images.items()}
    return dataclasses.replace(observation, images=images)


@pytest.mark.parametrize("estimator", ["emulator", "spatial", "hajek", "leave_one_out", "exact"])
@pytest.mark.parametrize("batch_size", [2, 3, 64])
def test_the_planted_head_ranks_first_and_the_others_nowhere(estimator, batch_size):
    policy = HeadToy()
    means = gather_head_means(policy, FRAMES)
    chosen = settings.check({"estimator": estimator, "samples": 64, "batch_size": batch_size, "grid": 2})
    explanation = Explainer(policy, chosen, space=HeadSpace(policy, means)).explain(dark(FRAMES[0]))
    contrast = explanation.estimate.contrast
    # Head 3 gives 4 times the level; the action changes by 3 * 4 times how far the level is from the mean.
    level = (means[3, 0] / 4) - policy.encode(policy.preprocess(dark(FRAMES[0]))).tokens[0, 0, 0]
    assert int(contrast.argmax()) == 3
    if estimator in ("leave_one_out", "exact"):
        expected = torch.zeros(6, dtype=contrast.dtype)
        expected[3] = (12 * level).square()
        torch.testing.assert_close(contrast, expected, rtol=1e-4, atol=1e-9)
    else:
        others = torch.cat([contrast[:3], contrast[4:]])
        assert float(contrast[3]) > 2 * float(others.abs().max())
        assert bool(torch.isfinite(explanation.estimate.standard_error).all())
    assert explanation.method.startswith("ISS: attention heads replaced by their mean outputs")
    assert explanation.cells.count == 6
    assert explanation.words == ()
    assert explanation.effects == ()


def test_the_tower_runs_once_a_frame():
    policy = HeadToy()
    means = gather_head_means(policy, FRAMES)
    policy.towers = 0
    chosen = settings.check({"samples": 64, "batch_size": 8})
    Explainer(policy, chosen, space=HeadSpace(policy, means)).explain(FRAMES[0])
    assert policy.towers == 1
    assert sum(policy.rows) > 64


def test_means_are_over_frames():
    policy = HeadToy()
    levels = [float(policy.encode(policy.preprocess(frame)).tokens) for frame in FRAMES]
    expected = sum(levels) / 3 * torch.arange(1.0, 7)[:, None]
    torch.testing.assert_close(gather_head_means(policy, FRAMES), expected)


def test_what_cannot_be_ranked_is_refused():
    policy = HeadToy()
    with pytest.raises(ValueError, match="need 2 or more frames, got 1"):
        gather_head_means(policy, FRAMES[:1])
    with pytest.raises(ValueError, match=r"means must be \[6, E\], one row a head, got \[5, 1\]"):
        HeadSpace(policy, torch.zeros(5, 1))
    plain = ToyPolicy(lambda images: images.mean((1, 2, 3, 4))[:, None, None])
    with pytest.raises(ValueError, match="ToyPolicy has no heads"):
        HeadSpace(plain, torch.zeros(5, 1))
    policy.heads = ()
    with pytest.raises(ValueError, match="HeadToy names no heads"):
        HeadSpace(policy, torch.zeros(0, 1))
    broken = HeadToy()
    broken.head_outputs = lambda *_: torch.full((6, 1), float("nan"))
    with pytest.raises(ValueError, match="head outputs are not finite"):
        gather_head_means(broken, FRAMES)


def test_heads_are_on_no_picture():
    cells = HeadCells(("a", "b"))
    assert cells.maps(torch.ones(3, 2), (4, 5)).shape == (3, 0, 4, 5)
    assert cells.by_view(torch.ones(2)) == {}
    assert cells.of_words(torch.ones(2)).tolist() == []
    assert cells.images().count == 0
    assert cells.positions.shape == (2, 3)
