# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the recorder does on simulated time before the first /clock, with a clock that stands where it is set."""

import pytest
import rclpy
from harness import SECOND
from rclpy.clock import ClockType
from rclpy.serialization import serialize_message
from rclpy.time import Time
from std_msgs.msg import String

from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.ros.output_recorder import OutputRecorder

STRING = "std_msgs/msg/String"


@pytest.fixture
def recorder(domain, tmp_path):
    rclpy.init(
        args=["--ros-args", "-p", f"bag:={tmp_path / 'bag'}", "-p", "use_sim_time:=true"], domain_id=domain
    )
    node = OutputRecorder()
    yield node
    node.close()
    node.destroy_node()
    rclpy.shutdown()


def hear(recorder, topic, text):
    recorder._record(topic, STRING, serialize_message(String(data=text)))


def set_clock(recorder, seconds):
    recorder.get_clock().set_ros_time_override(Time(seconds=seconds, clock_type=ClockType.ROS_TIME))


def logged(tmp_path):
    with Bag(tmp_path / "bag") as bag:
        return [(each.topic, each.message.data, each.stamp) for each in bag.messages()]


def test_the_last_message_of_a_topic_waits_for_the_first_clock(recorder, tmp_path):
    for topic, text in (("/a", "old"), ("/b", "latched"), ("/a", "new")):
        hear(recorder, topic, text)
    set_clock(recorder, 100)
    hear(recorder, "/b", "later")
    set_clock(recorder, 101)
    hear(recorder, "/a", "last")
    recorder.close()
    assert sorted(logged(tmp_path)) == [
        ("/a", "last", 101 * SECOND),
        ("/a", "new", 100 * SECOND),
        ("/b", "latched", 100 * SECOND),
        ("/b", "later", 100 * SECOND),
    ]
    assert recorder.exit_status == 0


def test_what_came_before_a_clock_that_nothing_followed_is_logged_at_the_end(recorder, tmp_path):
    hear(recorder, "/b", "latched")
    set_clock(recorder, 100)
    recorder.close()
    assert logged(tmp_path) == [("/b", "latched", 100 * SECOND)]


def test_without_a_clock_nothing_is_logged_and_the_status_says_so(recorder, tmp_path):
    hear(recorder, "/b", "latched")
    recorder.close()
    assert logged(tmp_path) == []
    assert recorder.exit_status == 1
