# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from collections import Counter

import pytest
from bag_factory import CAMERAS, NAMES, START, STEP, sample_messages, write_bag
from checked_policy import CheckedPolicy

from vla_iss_ros.analysis.policy_frames import frames_of_bag, sample_frames, synthetic_frames
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.policies.loading import load_policy


@pytest.mark.parametrize(("length", "places"), [(1, [0]), (3, [0, 1, 2]), (9, [0, 2, 4, 6, 8])])
def test_frames_are_spread_over_the_bag(tmp_path, length, places):
    bag = write_bag(tmp_path / "bag", sample_messages((length,)))
    frames = frames_of_bag(bag, BagTopics(), count=5, state_names=NAMES)
    assert [(frame.stamp - START) // STEP for frame in frames] == places
    assert set(frames[0].images) == set(CAMERAS)
    assert frames[0].state is not None


def test_long_bags_are_thinned(tmp_path):
    frames = frames_of_bag(write_bag(tmp_path / "bag", sample_messages((30,))), BagTopics(), count=3)
    places = [(frame.stamp - START) // STEP for frame in frames]
    assert 2 <= len(places) <= 3
    assert places[0] == 0
    assert places[-1] >= 15


def test_bags_without_frames_are_named(tmp_path):
    messages = [message for message in sample_messages((1,)) if "wrist" not in message[0]]
    problems = Counter()
    with pytest.raises(BagError, match="wrist"):
        frames_of_bag(write_bag(tmp_path / "bag", messages), BagTopics(), problems)


def test_the_sample_bag_is_taken_where_it_fits():
    frames = sample_frames(load_policy("builtin", "cpu"))
    assert 2 <= len(frames) <= 8
    assert len({frame.instruction for frame in frames}) >= 2

    class Other(CheckedPolicy):
        def preprocess(self, observation):
            raise ValueError("no such camera")

    assert sample_frames(Other()) == []


def test_synthetic_frames_have_a_size_that_the_policy_takes():
    class Wide(CheckedPolicy):
        def preprocess(self, observation):
            if observation.images["front"].shape[:2] != (720, 1280):
                raise ValueError(f"no {observation.images['front'].shape}")
            return super().preprocess(observation)

    frames = synthetic_frames(CheckedPolicy(), 2)
    assert frames[0].images["wrist"].shape == (480, 640, 3)
    assert (frames[0].images["wrist"] != frames[1].images["wrist"]).any()
    assert frames[0].instruction != frames[1].instruction
    assert frames[0].state.shape == (2,)
    policy = Wide()
    policy.resize_rule = lambda pixels: pixels[..., :16, :16]
    assert synthetic_frames(policy, 1)[0].images["front"].shape == (720, 1280, 3)


def test_a_policy_that_takes_nothing_says_so_itself():
    class Never(CheckedPolicy):
        def preprocess(self, observation):
            raise ValueError(f"refused {observation.images['front'].shape}")

    with pytest.raises(ValueError, match=r"refused \(480, 640, 3\)"):
        synthetic_frames(Never(), 1)
