# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shipped policy's tokens, attention, hidden positions and heads."""

import pytest
import torch
from policy_observations import observe

from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION
from vla_iss_ros.policies.attention_watch import rollout
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.protocol import AttentionPolicy, HeadPolicy, KnockOutPolicy, TokenPolicy


@pytest.fixture(scope="module")
def policy():
    return load_policy("builtin", "cpu")


@pytest.fixture(scope="module")
def base(policy):
    return policy.preprocess(observe())


@pytest.fixture(scope="module")
def encoded(policy, base):
    with torch.inference_mode():
        return policy.encode(base)


def test_it_offers_everything(policy):
    for kind in (TokenPolicy, AttentionPolicy, KnockOutPolicy, HeadPolicy):
        assert isinstance(policy, kind)


def test_segments_name_cameras_and_words(policy, base, encoded):
    words, *cameras = encoded.segments
    assert words.kind == INSTRUCTION
    assert words.words == base.words
    assert [segment.name for segment in cameras] == list(policy.spec.camera_names)
    assert all(segment.kind == CAMERA for segment in cameras)
    assert [segment.grid for segment in cameras] == [camera.token_grid for camera in policy.spec.cameras]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tokens_as_they_are_give_the_answer_to_pixels(policy, base, encoded, rows):
    pixels = policy.run_pixels(base, {}, None).normalised
    tokens = policy.run_tokens(encoded, encoded.tokens.expand(rows, -1, -1), None).normalised
    torch.testing.assert_close(tokens, pixels.expand(rows, -1, -1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_nothing_hidden_and_nothing_ablated_change_nothing(policy, base, encoded, rows):
    plain = policy.run_pixels(base, {}, None).normalised.expand(rows, -1, -1)
    hidden = torch.zeros(rows, encoded.tokens.shape[1], dtype=torch.bool)
    torch.testing.assert_close(
        policy.run_knocked_out(encoded, hidden, None).normalised, plain, rtol=1e-4, atol=1e-5
    )
    heads = torch.zeros(rows, len(policy.heads), dtype=torch.bool)
    means = policy.head_outputs(encoded, None)
    torch.testing.assert_close(
        policy.run_heads(encoded, heads, means, None).normalised, plain, rtol=1e-4, atol=1e-5
    )


def test_rows_are_hidden_and_ablated_apart(policy, encoded):
    hidden = torch.zeros(3, encoded.tokens.shape[1], dtype=torch.bool)
    hidden[1] = True
    answers = policy.run_knocked_out(encoded, hidden, None).normalised
    torch.testing.assert_close(answers[0], answers[2], rtol=1e-5, atol=1e-6)
    assert (answers[1] - answers[0]).abs().max() > 1e-3
    ablated = torch.zeros(3, len(policy.heads), dtype=torch.bool)
    ablated[1] = True
    answers = policy.run_heads(
        encoded, ablated, torch.zeros_like(policy.head_outputs(encoded, None)), None
    ).normalised
    torch.testing.assert_close(answers[0], answers[2], rtol=1e-5, atol=1e-6)
    assert (answers[1] - answers[0]).abs().max() > 1e-3


def test_attention_covers_every_token_and_says_what_it_is(policy, encoded):
    scores = policy.attention(encoded, None)
    assert scores.values.shape == encoded.tokens.shape[1:2]
    assert (scores.values >= 0).all()
    assert 0 < float(scores.values.sum()) < 1  # the rest goes to the queries and the state
    assert "rollout" in scores.description
    absent = encoded.inputs["words"][0] == 0
    assert float(scores.values[: len(absent)][absent].max()) < 0.2


def test_rollout_by_hand():
    # Two layers over three tokens, one asking: 0.5 A + 0.5 I each, the last layer of the asking row alone.
    first = torch.tensor([[0.0, 1, 0], [0, 0, 1], [0, 0, 1]]).view(1, 1, 3, 3)
    last = torch.tensor([[0.0, 1, 0]]).view(1, 1, 1, 3)
    # Last: (1/2, 1/2, 0); first: rows (1/2, 1/2, 0), (0, 1/2, 1/2), (0, 0, 1).
    torch.testing.assert_close(rollout([first, last], 1), torch.tensor([[0.25, 0.5, 0.25]]))


def test_rollout_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one layer"):
        rollout([], 1)
