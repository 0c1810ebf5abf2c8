# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""ACT beside the library's own way to its chunk, and its tokens."""

import pytest
import torch

from vla_iss_ros.iss.tokens import CAMERA
from vla_iss_ros.policies.protocol import AttentionPolicy, PathPolicy, TokenPolicy


@pytest.fixture
def tiny(lerobot_policies):
    import tiny_lerobot

    return tiny_lerobot


@pytest.fixture
def policy(lerobot_policy):
    return lerobot_policy("act")


@pytest.fixture
def base(policy, tiny):
    return policy.preprocess(tiny.observe())


def test_it_answers_as_the_library_does(policy, tiny, base, lerobot_policies):
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors

    directory = lerobot_policies("act")
    theirs = ACTPolicy.from_pretrained(directory).eval()
    pre, post = make_pre_post_processors(theirs.config, pretrained_path=str(directory))
    chunk = theirs.predict_action_chunk(pre(tiny.raw(tiny.observe())))
    ours = policy.run_pixels(base, {}, None)
    torch.testing.assert_close(ours.normalised, chunk, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.physical, post(chunk), rtol=1e-5, atol=1e-5)


def test_the_robots_queue_is_left_alone(policy, base):
    policy.run_pixels(base, {}, None)
    assert len(policy.network._action_queue) == 0


def test_it_offers_tokens_and_attention_and_no_path(policy):
    assert isinstance(policy, TokenPolicy)
    assert isinstance(policy, AttentionPolicy)
    assert not isinstance(policy, PathPolicy)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tokens_as_they_are_give_the_answer_to_pixels(policy, base, rows):
    encoded = policy.encode(base)
    answers = policy.run_tokens(encoded, encoded.tokens.expand(rows, -1, -1), None).normalised
    torch.testing.assert_close(
        answers, policy.run_pixels(base, {}, None).normalised.expand(rows, -1, -1), rtol=1e-4, atol=1e-5
    )


def test_the_backbone_runs_once_a_camera_and_not_for_tokens(policy, base):
    runs = []
    backbone = policy.network.model.backbone
    watching = backbone.register_forward_hook(lambda *_: runs.append(1))
    encoded = policy.encode(base)
    policy.run_tokens(encoded, encoded.tokens.expand(7, -1, -1), None)
    watching.remove()
    assert len(runs) == len(policy.spec.cameras)
    assert policy.network.model.backbone is backbone


def test_segments_are_the_feature_maps(policy, base):
    encoded = policy.encode(base)
    assert [segment.kind for segment in encoded.segments] == [CAMERA, CAMERA]
    assert [segment.grid for segment in encoded.segments] == [(3, 4), (3, 4)]  # 96 x 128 over 32
    assert [camera.token_grid for camera in policy.spec.cameras] == [(3, 4), (3, 4)]
    assert encoded.tokens.shape == (1, 24, 32)


def test_a_planted_token_moves_the_action_and_no_other(policy, base):
    planted = 2 + 17  # after the latent and the state: row 1, column 1 of the second camera

    def blind(module, inputs):
        kept = torch.zeros(len(inputs[0]), 1, 1)
        kept[:2] = kept[planted] = 1
        return (inputs[0] * kept, *inputs[1:])

    encoded = policy.encode(base)
    count = encoded.tokens.shape[1]
    rows = encoded.tokens.expand(count, -1, -1).clone()
    rows[torch.arange(count), torch.arange(count)] = encoded.tokens.mean(1)
    hook = policy.network.model.encoder.register_forward_pre_hook(blind, with_kwargs=False)
    try:
        effect = policy.run_tokens(encoded, rows, None).normalised
        effect = effect - policy.run_tokens(encoded, encoded.tokens, None).normalised
    finally:
        hook.remove()
    size = effect.square().mean((1, 2)).sqrt()
    assert int(size.argmax()) == planted - 2
    assert size[planted - 2] > 1e-4
    assert size.sort(descending=True).values[1] < 1e-6


def test_attention_covers_the_tokens(policy, base):
    encoded = policy.encode(base)
    scores = policy.attention(encoded, None)
    assert scores.values.shape == encoded.tokens.shape[1:2]
    assert (scores.values >= 0).all()
    assert 0 < float(scores.values.sum()) < 1  # the rest goes to the latent and the state
    assert "last decoder layer" in scores.description


def test_gradients_go_through_tokens(policy, base):
    encoded = policy.encode(base)
    tokens = encoded.tokens.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(policy.run_tokens(encoded, tokens, None).normalised.sum(), tokens)
    assert float(gradient.abs().max()) > 0
