# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from toys import observe

from vla_iss_ros.iss.estimators import Memory
from vla_iss_ros.iss.stream import Stream

SECOND = 10**9


def some_memory(samples=4):
    return Memory.of(
        torch.ones(samples, 3, dtype=torch.bool),
        torch.zeros(samples, dtype=torch.int64),
        torch.ones(samples, 2),
        torch.zeros(5, dtype=torch.float64),
        most=100,
    )


def at(seconds, instruction="press the button"):
    observation = observe(0, stamp=round(seconds * SECOND))
    object.__setattr__(observation, "instruction", instruction)
    return observation


def running(frames=4):
    """Return a stream that has seen ``frames`` frames, one every tenth of a second."""
    stream = Stream()
    for frame in range(frames):
        stream.recall(at(frame / 10), "context")
        stream.keep(some_memory())
    return stream


def test_the_first_frame_has_nothing_to_recall():
    stream = Stream()
    assert stream.recall(at(0), "context") is None
    assert stream.forgot == ""


def test_what_was_kept_is_recalled_a_frame_older():
    memory = running().recall(at(0.4), "context")
    assert memory.times.tolist() == [-1.0] * 4
    assert running().forgot == ""


@pytest.mark.parametrize(
    ("observation", "context", "why"),
    [
        (at(0.4, "open the drawer"), "context", "the instruction changed"),
        (at(0.4), "other", "cells, pictures or settings changed"),
        (at(0.1), "context", "the stamps went back"),
        (at(5.0), "context", "no frame for 4.7 s"),
    ],
)
def test_a_break_forgets_everything_and_says_why(observation, context, why):
    stream = running()
    assert stream.recall(observation, context) is None
    assert stream.forgot == why
    assert sum(stream.forgotten.values()) == 1
    stream.keep(some_memory())
    following = at(observation.stamp / SECOND + 0.1, observation.instruction)
    assert stream.recall(following, context) is not None
    assert stream.forgot == ""


def test_a_slow_node_is_not_a_break():
    stream = Stream()
    for seconds in (0, 3, 6, 10):
        stream.recall(at(seconds), "context")
        stream.keep(some_memory())
    assert stream.recall(at(15), "context") is not None


def test_forgetting_on_request():
    stream = running()
    stream.forget("asked to")
    assert stream.recall(at(0.4), "context") is None
    assert stream.forgot == "asked to"
    stream.recall(at(0.5), "context")
    assert stream.forgot == ""


def test_a_frame_that_failed_ages_the_memory_too():
    stream = running()
    assert stream.recall(at(0.4), "context").times.tolist() == [-1.0] * 4
    assert stream.recall(at(0.5), "context").times.tolist() == [-2.0] * 4


def test_memory_keeps_the_newest_samples():
    old = some_memory(4).aged(1)
    new = old.joined(
        torch.zeros(3, 3, dtype=torch.bool),
        torch.ones(3, dtype=torch.int64),
        torch.zeros(3, 2),
        old.values + 1,
        5,
    )
    assert len(new) == 5
    assert new.times.tolist() == [-1, -1, 0, 0, 0]
    assert new.pictures.tolist() == [0, 0, 1, 1, 1]
    assert new.moves[:, 0].tolist() == [1, 1, 0, 0, 0]
    assert new.values.tolist() == [1.0] * 5
