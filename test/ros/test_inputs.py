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


def come_late(states, *stamps):
    """Have states come while somebody waits for one; returns when the last has been taken in."""
    timer = threading.Timer(0.01, lambda: [states.add(stamp, state(stamp)) for stamp in stamps])
    timer.start()
    return timer


LONG = 20.0  # seconds that no test takes


def test_a_state_of_the_same_moment_that_comes_after_the_images_is_waited_for():
    states = states_of(10 * SECOND, 10 * SECOND + 50 * MILLISECOND)
    late = come_late(states, 10 * SECOND + 100 * MILLISECOND)
    states.wait(10 * SECOND + 100 * MILLISECOND, time.monotonic() + LONG)
    late.join()
    assert stamp_of(states.nearest(10 * SECOND + 100 * MILLISECOND)) == 10 * SECOND + 100 * MILLISECOND


def test_the_first_state_and_one_after_a_jump_back_are_waited_for():
    for states in (states_of(), states_of(10 * SECOND)):
        late = come_late(states, 5 * SECOND)
        states.wait(5 * SECOND, time.monotonic() + LONG)
        late.join()
        assert stamp_of(states.nearest(5 * SECOND)) == 5 * SECOND


def test_nothing_is_waited_for_when_no_nearer_state_is_due():
    states = states_of(10 * SECOND, 10 * SECOND + 50 * MILLISECOND)
    begun = time.monotonic()
    for step in (0, 50, 75):  # half a period after the last one, the next is no nearer
        states.wait(10 * SECOND + step * MILLISECOND, begun + LONG)
    states_of(0).wait(10 * SECOND, begun + LONG)
    states.wait(0, begun + LONG)
    assert time.monotonic() - begun < LONG


def test_a_stream_that_stopped_holds_up_one_frame_and_then_none():
    states = states_of(10 * SECOND, 10 * SECOND + 50 * MILLISECOND)
    states.wait(11 * SECOND, time.monotonic() + 0.01)
    begun = time.monotonic()
    states.wait(12 * SECOND, begun + LONG)
    assert time.monotonic() - begun < LONG
    # Once it has caught up, it is waited for again.
    states.add(13 * SECOND, state(13 * SECOND))
    states.wait(13 * SECOND, begun + LONG)
    late = come_late(states, 14 * SECOND)
    states.wait(14 * SECOND, time.monotonic() + LONG)
    late.join()
    assert stamp_of(states.nearest(14 * SECOND)) == 14 * SECOND


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
