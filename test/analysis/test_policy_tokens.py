# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch
from checked_policy import CheckedPolicy, see

from vla_iss_ros.analysis.policy_subject import Subject
from vla_iss_ros.analysis.policy_tokens import check_token_alignment, check_tokens
from vla_iss_ros.iss.tokens import Segment
from vla_iss_ros.policies.loading import load_policy


def subject(policy, **changes):
    observations = [see(0), see(1)]
    if changes:
        observations = [dataclasses.replace(each, **changes) for each in observations]
    return Subject(policy, observations, 1e-3, lambda: 0.0)


@pytest.fixture
def policy():
    return load_policy("builtin", "cpu")


def frames(policy):
    return subject(policy, instruction="press the button", state=torch.zeros(4).numpy())


def test_the_shipped_policy_passes(policy):
    with torch.inference_mode():
        assert check_tokens(frames(policy)).status == "pass"
        alignment = check_token_alignment(frames(policy))
    assert alignment.status == "pass"
    assert alignment.values["offset"] <= 0.5


def test_a_policy_without_tokens_is_skipped():
    assert check_tokens(subject(CheckedPolicy())).status == "skip"
    assert check_token_alignment(subject(CheckedPolicy())).status == "skip"


def test_tokens_that_give_another_answer_fail(policy, monkeypatch):
    act = policy.run_tokens
    monkeypatch.setattr(
        policy, "run_tokens", lambda encoded, tokens, noise: act(encoded, tokens * 1.1, noise)
    )
    with torch.inference_mode():
        check = check_tokens(frames(policy))
    assert check.status == "FAIL"
    assert "encode left out" in check.remedy


def test_transposed_patches_fail(policy, monkeypatch):
    encode = policy.encode

    def transposed(base):
        encoded = encode(base)
        tokens = encoded.tokens.clone()
        for segment in encoded.segments:
            if segment.grid:
                part = tokens[:, segment.start : segment.stop].unflatten(1, segment.grid)
                tokens[:, segment.start : segment.stop] = part.transpose(1, 2).flatten(1, 2)
        return dataclasses.replace(encoded, tokens=tokens)

    monkeypatch.setattr(policy, "encode", transposed)
    with torch.inference_mode():
        check = check_token_alignment(frames(policy))
    assert check.status == "FAIL"
    assert "row by row" in check.remedy


def test_a_content_that_is_not_there_fails(policy, monkeypatch):
    encode = policy.encode

    def squeezed(base):
        encoded = encode(base)
        segments = tuple(
            dataclasses.replace(each, content=(4.0, 0.0, 4.0, 8.0))
            if isinstance(each, Segment) and each.grid
            else each
            for each in encoded.segments
        )
        return dataclasses.replace(encoded, segments=segments)

    monkeypatch.setattr(policy, "encode", squeezed)
    with torch.inference_mode():
        assert check_token_alignment(frames(policy)).status == "FAIL"
