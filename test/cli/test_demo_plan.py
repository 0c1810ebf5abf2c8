# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from bag_factory import frame_messages, write_bag
from message_factory import String

from vla_iss_ros.cli.demo_plan import make_plan

SECOND = 10**9


def bag_of(path, descriptions, frames=5):
    messages, stamp = [], 1000 * SECOND
    for episode, description in enumerate(descriptions):
        messages.append(("/episode", String(json.dumps(description)), stamp))
        for index in range(frames):
            messages += [(topic, message, stamp) for topic, message in frame_messages(episode, index, stamp)]
            stamp += SECOND // 10
        stamp += 2 * SECOND
    return write_bag(path, messages)


def test_one_aligned_episode_of_each_task(tmp_path):
    descriptions = [
        {"task": "press-v3", "condition": "shuffled"},
        {"task": "press-v3", "condition": "aligned"},
        {"task": "push-v3", "condition": "aligned"},
        {"task": "press-v3", "condition": "aligned"},
    ]
    plan = make_plan(bag_of(tmp_path / "bag", descriptions), play_seconds=16.0)
    assert plan.places == [1, 2]
    assert plan.names == ["press", "press", "push", "press"]
    assert plan.bag_seconds == pytest.approx(0.8)
    assert plan.rate == pytest.approx(0.05)


def test_without_descriptions_the_first_three(tmp_path):
    plan = make_plan(bag_of(tmp_path / "bag", [{}] * 4), play_seconds=1.0)
    assert plan.places == [0, 1, 2]
    assert plan.names[0] == "episode 0"


@pytest.mark.parametrize(("play_seconds", "rate"), [(0.1, 1.0), (1e6, 0.01)])
def test_rate_stays_within_what_the_player_takes(tmp_path, play_seconds, rate):
    assert make_plan(bag_of(tmp_path / "bag", [{}]), play_seconds).rate == rate
