# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The joint states that a frame is given, with one publisher and with several on the topic."""

import threading
import time

import pytest
from builtin_interfaces.msg import Time
from harness import SECOND, Robot, stamp_of
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from vla_iss_ros.messages.stamps import stamp_from_nanoseconds
from vla_iss_ros.ros.states import JOINT_STATES_KEPT, JointStates

MILLISECOND = SECOND // 1000


def state(stamp, names=("arm", "finger")):
    header = Header(stamp=stamp_from_nanoseconds(stamp, Time))
    return JointState(header=header, name=list(names), position=[0.0] * len(names))


def states_of(*stamps):
    states = JointStates(("arm", "finger"))
    for stamp in stamps:
        assert states.add(stamp, state(stamp))
    return states


@pytest.mark.parametrize("late", [1, 20 * MILLISECOND, SECOND])
def test_a_stamp_that_is_a_little_older_drops_nothing(late):
    stamps = [10 * SECOND, 10 * SECOND + 100 * MILLISECOND, 10 * SECOND + 100 * MILLISECOND - late]
    states = states_of(*stamps)
    assert [stamp_of(states.nearest(stamp)) for stamp in stamps] == stamps


def test_interleaved_stamps_are_found_by_the_nearest():
    states = states_of(*(10 * SECOND + step * MILLISECOND for step in (0, 20, 10, 30, 25, 50)))
    found = [stamp_of(states.nearest(10 * SECOND + step * MILLISECOND)) for step in (12, 22, 26, 99)]
    assert found == [10 * SECOND + step * MILLISECOND for step in (10, 20, 25, 50)]


def test_a_jump_back_of_more_than_a_second_drops_what_was_kept():
    states = states_of(10 * SECOND, 9 * SECOND - 1)
    assert stamp_of(states.nearest(10 * SECOND)) == 9 * SECOND - 1


def test_a_jump_is_measured_from_the_newest_stamp_and_not_from_the_last_message():
    states = states_of(10 * SECOND, 9 * SECOND + 500 * MILLISECOND, 9 * SECOND - 1)
    assert stamp_of(states.nearest(10 * SECOND)) == 9 * SECOND - 1


def test_after_a_small_step_back_of_the_clock_new_states_are_kept():
    newest = 10 * SECOND + JOINT_STATES_KEPT * MILLISECOND
    states = states_of(*range(10 * SECOND, newest, MILLISECOND), 9 * SECOND + 500 * MILLISECOND)
    assert stamp_of(states.nearest(9 * SECOND + 500 * MILLISECOND)) == 9 * SECOND + 500 * MILLISECOND


LONG = 20.0  # seconds that no test takes
RATE = 50 * MILLISECOND


def regular(count=4, start=10 * SECOND):
    """Return states that came every 50 ms, and the stamp that follows."""
    return states_of(*range(start, start + count * RATE, RATE)), start + count * RATE


def found_after_waiting(states, stamp, *late):
    """Return the stamp of the state of a frame at ``stamp``, while ``late`` ones come 10 ms after it is asked for."""
    timer = threading.Timer(0.01, lambda: [states.add(each, state(each)) for each in late])
    timer.start()
    states.wait(stamp, time.monotonic() + LONG)
    found = states.nearest(stamp)
    timer.join()
    return None if found is None else stamp_of(found)


def seconds_waited(states, stamp, seconds=LONG):
    begun = time.monotonic()
    states.wait(stamp, begun + seconds)
    return time.monotonic() - begun


def test_a_state_of_the_same_moment_that_comes_after_the_images_is_waited_for():
    states, following = regular()
    assert found_after_waiting(states, following, following) == following


@pytest.mark.parametrize("after", [-3 * MILLISECOND, 20 * MILLISECOND])
def test_so_is_one_of_nearly_the_same_moment_and_one_that_was_sent_before_the_images(after):
    states, following = regular()
    assert found_after_waiting(states, following + after, following) == following


def test_the_first_state_is_waited_for_and_one_after_a_pause_or_a_jump_back():
    for states in (states_of(), regular()[0], states_of(100 * SECOND)):
        stamp = 20 * SECOND
        assert found_after_waiting(states, stamp, stamp) == stamp
        assert found_after_waiting(states, stamp + RATE, stamp + RATE) == stamp + RATE


def test_a_state_that_will_be_stamped_after_the_images_is_not_waited_for():
    states, following = regular()
    for early in (RATE, RATE // 2, 10 * MILLISECOND):
        assert seconds_waited(states, following - early) < LONG / 2
    assert seconds_waited(states_of(0), following) < LONG / 2
    assert seconds_waited(states, 0) < LONG / 2


def test_of_several_publishers_that_take_turns_no_state_is_due_within_their_longer_gap():
    stamps = [
        10 * SECOND + step * MILLISECOND + after for step in range(0, 200, 10) for after in (0, MILLISECOND)
    ]
    states = states_of(*stamps)
    assert seconds_waited(states, stamps[-1] + 3 * MILLISECOND) < LONG / 2


def test_a_stream_that_stopped_holds_up_one_frame_and_then_none():
    states, following = regular()
    assert seconds_waited(states, following, 0.01) < LONG
    for step in range(1, 4):
        assert seconds_waited(states, following + step * RATE) < LONG / 2


def test_a_stream_that_was_late_once_is_waited_for_again_when_it_comes_in_time():
    states, following = regular()
    states.wait(following, time.monotonic() + 0.01)
    states.add(following, state(following))  # too late for its frame
    assert seconds_waited(states, following + RATE) < LONG / 2  # not waited for, but it comes in time
    states.add(following + RATE, state(following + RATE))
    third = following + 2 * RATE
    assert found_after_waiting(states, third, third) == third


def test_a_stream_that_was_given_no_time_is_not_judged():
    states, following = regular()
    states.wait(following, time.monotonic() - 1)
    assert found_after_waiting(states, following, following) == following


def test_without_a_stamp_the_last_state_is_taken():
    assert stamp_of(states_of(10 * SECOND, 10 * SECOND - 1).nearest(0)) == 10 * SECOND - 1
    assert stamp_of(states_of(10 * SECOND, 0).nearest(10 * SECOND)) == 0
    assert JointStates(("arm",)).nearest(1) is None


@pytest.mark.parametrize("names", [(), ("wheel",), ("wheel", "arm_")])
def test_messages_with_none_of_the_names_are_left_out(names):
    states = states_of(10 * SECOND)
    for step in range(JOINT_STATES_KEPT):
        assert not states.add(10 * SECOND + step, state(10 * SECOND + step, names))
    assert not states.add(0, state(0, names))
    assert stamp_of(states.nearest(10 * SECOND)) == 10 * SECOND


def test_messages_with_some_of_the_names_are_kept_to_be_named_as_errors():
    states = JointStates(("arm", "finger"))
    assert states.add(1, state(1, ("arm",)))
    assert list(states.nearest(1).name) == ["arm"]


def test_a_second_publisher_of_other_joints_disturbs_nothing(launch, small, probe):
    node = launch("iss_node", **small, image_transport="raw", image_reliability="reliable")
    robot = Robot(probe, "/iss_node")
    robot.instruct()

    def send():
        for late in (0, 5 * SECOND):
            gripper = state(robot.stamp + SECOND // 10 - late, ("left_finger",))
            probe.publish(robot.topic("joint_states"), gripper)
        robot.send()

    def explained():
        return int(probe.value("/iss_node: pipeline", "frames done") or 0) >= 3

    robot.until(explained, "three frames explained", send)
    _, _, values = probe.status("/iss_node: pipeline")
    assert not [key for key in values if key.startswith("bad joint states")]
    assert "hold none of state_names; these hold 'left_finger'" in node.log
    assert node.end()[0] == 0
