# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
from bag_factory import START, joint_state, jpeg, picture, sample_messages, write_bag
from message_factory import String, compressed

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.bags.topic_guess import check_topics, guess_topics, topics_in_words

NAMES = ["hand_x", "hand_y", "hand_z", "gripper"]


def guess(tmp_path, messages, cameras=("front", "wrist")) -> BagTopics:
    with Bag(write_bag(tmp_path / "bag", messages)) as bag:
        return guess_topics(bag, cameras, NAMES)


def image(topic):
    return topic, compressed(jpeg(picture(0, 0)), "jpeg", START), START


def test_the_samples_topics_are_told(tmp_path):
    assert guess(tmp_path, sample_messages((1,))) == BagTopics()


def test_names_of_cameras_come_first_then_the_order(tmp_path):
    named = guess(
        tmp_path, [image("/cam/wrist_rgb"), image("/a/front_depth"), image("/z/front"), image("/side")]
    )
    assert named.images == {"front": "/z/front", "wrist": "/cam/wrist_rgb"}
    (tmp_path / "two").mkdir()
    ordered = guess(tmp_path / "two", [image("/b"), image("/a")])
    assert ordered.images == {"front": "/a", "wrist": "/b"}
    assert ordered.state == ordered.instruction == ordered.episode == ""
    assert "episode markers: none; a pause starts an episode" in topics_in_words(ordered)


def test_the_state_is_the_joint_state_that_has_the_names(tmp_path):
    states = [
        ("/a_joints", joint_state(["elbow"], [0.0], START), START),
        ("/b_joints", joint_state(["extra", *NAMES], [0.0] * 5, START), START),
    ]
    texts = [("/log", String("x"), START), ("/language_task", String("x"), START)]
    found = guess(tmp_path, [image("/front"), image("/wrist"), *states, *texts])
    assert found.state == "/b_joints"
    assert found.instruction == "/language_task"


def test_what_cannot_be_told_is_asked_for(tmp_path):
    with pytest.raises(
        BagError, match=r"camera 'wrist' .*its image topics: /front, /other, /third; .*--image"
    ):
        guess(tmp_path, [image("/front"), image("/other"), image("/third")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": "/typo"}, r"bag' has no topic '/typo' \(state\); see --state-topic; its topics: /end_eff"),
        (
            {"instruction": "/typo"},
            r"'/typo' \(instruction\); see --instruction-topic; its topics: .*/instruc",
        ),
        ({"episode": "/typo"}, r"'/typo' \(episode\); see --episode-topic; its topics: "),
        ({"labels": {"front": "/typo"}}, r"'/typo' \(labels of front\); see --regions; its topics: "),
    ],
)
def test_a_topic_that_the_bag_does_not_have_is_named_with_those_that_it_has(tmp_path, changes, message):
    with Bag(write_bag(tmp_path / "bag", sample_messages((1,)))) as bag:
        check_topics(bag, BagTopics())
        check_topics(bag, BagTopics(labels={}, state="", instruction="", episode=""))
        with pytest.raises(ValueError, match=message):
            check_topics(bag, BagTopics(**changes))


def test_images_are_looked_for_where_they_were_named(tmp_path):
    with Bag(write_bag(tmp_path / "bag", sample_messages((1,)))) as bag:
        check_topics(bag, BagTopics(), images=True)
        wrong = BagTopics(images={"front": "/front/image/compressed", "wrist": "/typo"})
        check_topics(bag, wrong)
        with pytest.raises(
            ValueError, match=r"'/typo' \(images of wrist\); see --image; its topics: .*/wrist/image"
        ):
            check_topics(bag, wrong, images=True)
