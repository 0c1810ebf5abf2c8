# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Observations from bags."""

from collections import Counter

import numpy as np
import pytest
from bag_factory import NAMES, START, STEP, colour, jpeg, label_png, picture, sample_messages, write_bag
from message_factory import String, compressed, joint_state

from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag

ONE = BagTopics({"a": "/a"}, {"a": "/labels"}, "/state", "/instruction", "/episode")


def observations_of(path, topics=None, **options):
    problems = Counter()
    with Bag(path) as bag:
        return list(iterate_observations(bag, topics, problems, **options)), problems


@pytest.fixture
def sample(tmp_path):
    return write_bag(tmp_path / "sample", sample_messages((5, 4, 3)))


def test_everything_of_a_frame_belongs_together(sample):
    found, problems = observations_of(sample)
    assert problems == {}
    assert [each.episode for each in found] == [0] * 5 + [1] * 4 + [2] * 3
    observation, labels, episode = found[6]
    assert (observation.stamp, observation.instruction, episode) == (
        START + 6 * STEP + 2 * 10**9,
        "do task 1",
        1,
    )
    assert observation.state.tolist() == [1, 1, 0.5, 1]
    for camera in ("front", "wrist"):
        assert np.abs(observation.images[camera].astype(int) - colour(1, 1)).max() <= 3
        assert labels[camera][[0, 4, 8, 10], 0].tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(("stride", "kept"), [(1, 12), (2, 3 + 2 + 2), (3, 2 + 2 + 1), (100, 3)])
def test_stride_counts_within_episodes(sample, stride, kept):
    found, _ = observations_of(sample, stride=stride)
    assert len(found) == kept
    assert [found[0].episode, found[-1].episode] == [0, 2]


def test_chosen_episodes(sample):
    assert [each.episode for each in observations_of(sample, episodes=[2, 0], stride=2)[0]] == [0, 0, 0, 2, 2]


def test_state_unit_and_names(sample):
    found, _ = observations_of(sample, state_names=["hand_z"], state_unit="deg", stride=100)
    assert found[0].observation.state.tolist() == pytest.approx([28.64789])


@pytest.mark.parametrize("stride", [0, -1])
def test_stride_must_be_positive(sample, stride):
    with pytest.raises(ValueError, match=f"stride must be at least 1, got {stride}"):
        observations_of(sample, stride=stride)


def bag_of_one_camera(path, images, labels=None, states=None):
    messages = []
    for index, data in enumerate(images):
        stamp = START + index * STEP
        messages.append(("/a", compressed(data, "jpeg", stamp), stamp))
        messages.append(
            ("/labels", compressed(labels[index] if labels else label_png(), "png", stamp), stamp)
        )
        state = states[index] if states else [0.0] * 4
        messages.append(("/state", joint_state(NAMES[: len(state)], state, stamp), stamp))
    return write_bag(path, messages)


def test_bad_images_are_counted_and_the_next_one_is_used(tmp_path):
    good = jpeg(picture(0, 0))
    path = bag_of_one_camera(tmp_path / "bag", [good, good[: len(good) // 2], b"", b"junk", good])
    found, problems = observations_of(path, ONE, instruction="go")
    assert [each.observation.stamp for each in found] == [START, START + 4 * STEP]
    assert problems == {"image of a: truncated": 1, "image of a: wrong format": 2}


def test_bad_states_are_counted_and_the_next_one_is_used(tmp_path):
    good = jpeg(picture(0, 0))
    states = [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0], [np.nan] * 4, [0.0] * 4]
    found, problems = observations_of(
        bag_of_one_camera(tmp_path / "bag", [good] * 4, states=states), ONE, instruction="go"
    )
    assert [each.observation.state.tolist() for each in found] == [states[0], states[3]]
    assert problems == {"state: missing names": 1, "state: not finite": 1}


def test_bad_labels_leave_the_observation(tmp_path):
    good = jpeg(picture(0, 0))
    path = bag_of_one_camera(tmp_path / "bag", [good] * 3, labels=[good, label_png(), label_png()[:40]])
    found, problems = observations_of(path, ONE, instruction="go")
    assert [list(each.labels) for each in found] == [[], ["a"], []]
    assert problems == {"labels of a: lossy labels": 1, "labels of a: truncated": 1}


def test_the_given_instruction_stands_in_until_there_is_one(tmp_path):
    path = bag_of_one_camera(tmp_path / "bag", [jpeg(picture(0, 0))] * 2)
    assert observations_of(path, ONE)[1] == {"instruction: none": 2}
    found, problems = observations_of(path, ONE, instruction="wave")
    assert [each.observation.instruction for each in found] == ["wave", "wave"]
    assert problems == {}


def test_topics_of_another_type_are_counted(tmp_path):
    good = jpeg(picture(0, 0))
    path = write_bag(
        tmp_path / "bag",
        [
            ("/a", compressed(good, "jpeg", START), START),
            ("/state", compressed(good, "jpeg", START), START),
            ("/labels", joint_state(NAMES, [0.0] * 4, START), START),
            ("/instruction", joint_state(NAMES, [0.0] * 4, START), START),
        ],
    )
    assert observations_of(path, ONE)[1] == {"state: wrong type": 1, "instruction: wrong type": 1}
    found, problems = observations_of(
        path, BagTopics({"a": "/a"}, {"a": "/labels"}, "", "", ""), instruction="go"
    )
    assert (len(found), problems) == (1, {"labels of a: wrong type": 1})
    found, problems = observations_of(path, BagTopics({"a": "/labels"}, {}, "", "", ""))
    assert (found, problems) == ([], {"image of a: wrong type": 1})


def test_problems_need_not_be_asked_for(sample):
    with Bag(sample) as bag:
        assert next(iterate_observations(bag)).episode == 0


def test_a_bag_of_other_topics(tmp_path):
    path = write_bag(
        tmp_path / "bag", [("/a", compressed(jpeg(picture(0, 0)), "jpeg", 5), 9), ("/go", String("go"), 9)]
    )
    found, problems = observations_of(path, BagTopics({"cam": "/a"}, {}, "", "/go", ""))
    assert (found[0].observation.stamp, found[0].observation.instruction, found[0].observation.state) == (
        5,
        "go",
        None,
    )
    assert problems == {}
