# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
from harness import PATIENCE, SECOND, Robot, stamp_of
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String
from tiny_bag import EPISODES, FRAMES, START, stamps, write_bag

from vla_iss_ros.bags.reader import Bag

RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "tiny")


@pytest.fixture(scope="module")
def heard(probe):
    topics = {
        "/front/image/compressed": (CompressedImage, RELIABLE),
        "/instruction": (String, Robot.LATCHED),
        "/clock": (Clock, 1000),
    }
    return {topic: probe.collect(kind, topic, qos) for topic, (kind, qos) in topics.items()}


@pytest.fixture(autouse=True)
def _forget(heard):
    for messages in heard.values():
        messages.clear()


def play(launch, probe, **values):
    """Play to the end and return the process."""
    process = launch("bag_player", **values)
    probe.until(lambda: process.process.poll() is not None, "the player's end")
    return process


def test_it_plays_every_message_as_it_was_with_the_clock_and_ends(launch, probe, heard, bag):
    process = play(launch, probe, bag=str(bag), rate=4.0)
    assert process.process.returncode == 0
    assert f"played {2 + 2 + 2 * FRAMES * 5} messages" in process.log
    probe.until(lambda: len(heard["/front/image/compressed"]) == 2 * FRAMES)
    with Bag(bag) as recorded:
        expected = [each.message for each in recorded.messages(["/front/image/compressed"])]
    for got, wanted in zip(heard["/front/image/compressed"], expected, strict=True):
        assert bytes(got.data) == bytes(wanted.data)
        assert (stamp_of(got), got.header.frame_id) == (stamp_of(wanted), wanted.header.frame_id)
    clock = [each.clock.sec * SECOND + each.clock.nanosec for each in heard["/clock"]]
    assert clock == sorted(clock)
    assert START <= clock[0] <= START + SECOND
    assert clock[-1] == EPISODES[1] + (FRAMES - 1) * (SECOND // 20)
    assert len(clock) > 2 * FRAMES


def test_it_plays_chosen_episodes_in_their_order(launch, probe, heard, bag):
    process = play(launch, probe, bag=str(bag), episodes="[1, 0]")
    assert process.process.returncode == 0
    images = heard["/front/image/compressed"]
    probe.until(lambda: len(images) == 2 * FRAMES)
    assert [stamp_of(each) for each in images] == stamps(1) + stamps(0)


def test_it_loops_until_it_is_stopped_and_late_subscribers_hear_the_instruction(launch, probe, heard, bag):
    process = launch("bag_player", bag=str(bag), start_episode=1, loop=True, rate=10.0)
    images = heard["/front/image/compressed"]
    probe.until(lambda: len(images) > 3 * FRAMES, "the bag played three times")
    assert {stamp_of(each) for each in images} == set(stamps(1))
    late = probe.collect(String, "/instruction", Robot.LATCHED)
    probe.until(lambda: late, "the latched instruction")
    assert late[0].data == "press the button"
    assert process.end()[0] == 0
    assert "Traceback" not in process.log


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"bag": "nowhere"}, "bag 'nowhere' does not exist"),
        ({}, "bag must be set: -p bag:=DIRECTORY"),
        ({"bag": None, "episodes": "[7]"}, "episodes must be in [0, 1], got [7]; bag '"),
        ({"bag": None, "rate": 0.0}, "rate"),
    ],
)
def test_what_cannot_be_played_is_one_clear_line_and_status_1(launch, bag, values, line):
    if "bag" in values and values["bag"] is None:
        values = {**values, "bag": str(bag)}
    process = launch("bag_player", **values)
    assert process.process.wait(PATIENCE) == 1
    assert line in process.log
    assert "Traceback" not in process.log
    assert len(process.log.splitlines()) == 1
