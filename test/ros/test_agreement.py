# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Commands of a real publisher beside answers that are made up."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builtin_interfaces.msg import Time
from harness import Probe
from std_msgs.msg import Float32MultiArray, Header, MultiArrayDimension, MultiArrayLayout
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_iss_ros.iss.pacing import Pace
from vla_iss_ros.messages.stamps import stamp_from_nanoseconds
from vla_iss_ros.ros import agreement
from vla_iss_ros.ros import commands as commands_module
from vla_iss_ros.ros.agreement import (
    DRAWN_EVERY,
    DRAWS,
    LIKELY,
    CommandedActions,
)
from vla_iss_ros.ros.commands import KEPT, MOST_NUMBERS, MOST_POINTS, Command
from vla_iss_ros.ros.diagnostics import ERROR, OK, WARN
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.settings import check

NAMES, UNITS = ("x", "gripper"), ("cm", "1")
STAMP = 10**12
MILLISECOND = 10**6


class ToyPolicy:
    """Answers the noise times ``noisy``, in both actions."""

    def __init__(self, noisy=0.0):
        self.noisy, self.runs = noisy, 0
        shape = (2,) if noisy else None
        self.spec = SimpleNamespace(
            action_names=NAMES, action_units=UNITS, noise_shape=shape, shares_noise=True
        )

    def preprocess(self, observation):
        return observation

    def sample_noise(self, generator):
        return torch.rand(1, 2, generator=generator)

    def run_pixels(self, base, images, noise):
        self.runs += 1
        return SimpleNamespace(physical=self.noisy * noise[:, None])


class Commands:
    """Commanded actions of a publisher, with a frame to compare them with."""

    def __init__(self, probe, noisy=0.0, **values):
        self.probe, self.settings = probe, check({"alarm_frames": 1, **values})
        self.policy, self.pace = ToyPolicy(noisy), Pace()
        self.faults = Faults(probe.node.get_logger())
        self.commands = CommandedActions(probe.node, self.faults, self.policy, self.settings)

    def hear(self, message):
        before = self.commands.received
        self.probe.publish("/probe/input/action", message)
        self.probe.until(lambda: self.commands.received > before, "the command heard")

    def arguments(self, *answer, stamps=(STAMP,), after=0.0, stood_in=()):
        # Whatever a slow computer took: the command's own time of arrival.
        arrived = self.commands._commands.kept[-1][0] + after
        frame = SimpleNamespace(stamps=dict(enumerate(stamps)), arrived=arrived, stood_in=stood_in)
        return np.array([answer], np.float32), frame, None, self.settings, lambda: None, self.pace

    def compare(self, *answer, **frame):
        self.commands.compare(*self.arguments(*answer, **frame))
        return self.commands.status()


@pytest.fixture
def make(probe):
    made = []

    def make(**values):
        made.append(Commands(probe, **values))
        return made[-1]

    yield make
    for each in made:
        each.commands.close()
        if publisher := probe._publishers.pop("/probe/input/action", None):
            probe.node.destroy_publisher(publisher)


def array(*values):
    layout = MultiArrayLayout(dim=[MultiArrayDimension(label="action", size=len(values), stride=len(values))])
    return Float32MultiArray(layout=layout, data=list(values))


def trajectory(stamp, *values, names=("gripper", "x")):
    header = Header(stamp=stamp_from_nanoseconds(stamp, Time))
    point = JointTrajectoryPoint(positions=list(values))
    return JointTrajectory(header=header, joint_names=list(names), points=[point])


class Clock:
    """A monotonic clock that is set by hand, in seconds after now."""

    def __init__(self, patch):
        self._began = self.now = time.monotonic()
        for module in (agreement, commands_module):
            patch.setattr(module, "time", self)

    def monotonic(self):
        return self.now

    def set(self, seconds):
        self.now = self._began + seconds


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_a_command_of_another_time_is_not_compared_and_told_after_a_while(make, monkeypatch, seconds):
    commands = make(alarm_frames=2)
    commands.hear(array(1.0, 0.0))
    with monkeypatch.context() as patch:
        clock = Clock(patch)
        commands.commands._commands.kept[-1] = commands.commands._commands.kept[-1]._replace(
            arrived=clock.now
        )
        status = commands.compare(0.0, 0.0, after=seconds)
        assert (status.level, status.message) == (OK, "no frame has been compared yet")
        clock.set(4.9)
        commands.compare(0.0, 0.0, after=seconds)
        assert commands.compare(0.0, 0.0, after=seconds).level == OK
        clock.set(5.0)
        status = commands.compare(0.0, 0.0, after=seconds)
        assert (status.level, status.message) == (WARN, "no command within 1 s of any of the last 4 frames")
        assert "largest difference" not in status.values
        assert commands.compare(1.0, 0.0).level == OK
        clock.set(10.0)
        # One frame alone is no reason, however long ago the last comparison was.
        commands.commands.compare(*commands.arguments(0.0, 0.0, after=seconds))
        assert commands.commands._latest.level == OK


def test_frames_between_commands_that_come_every_few_seconds_leave_the_comparison_as_it_is(make, monkeypatch):
    commands = make(alarm_frames=3, agreement_tolerance=0.1)
    commands.hear(array(1.0, 0.0))
    kept, message = commands.commands._commands.kept, commands.commands._commands.kept[-1][2]
    with monkeypatch.context() as patch:
        clock = Clock(patch)
        kept.clear()
        kept.extend(Command(clock.now + ago, 0, message) for ago in (-12.0, -8.0, -4.0))
        statuses = []
        for tenths in range(120):
            clock.set(tenths / 10)
            if tenths % 40 == 0:
                kept.append(Command(clock.now, 0, message))
            after = clock.now - kept[-1][0]
            statuses.append(commands.compare(1.0, 0.0, after=after))
    assert {(status.level, status.values["largest difference"]) for status in statuses} == {(OK, 0.0)}
    ages = [status.values["age of the comparison (s)"] for status in statuses]
    assert max(ages) == pytest.approx(2.9)  # from 1 s after a command until the next


@pytest.mark.parametrize(("each", "frames", "told"), [(10.0, 5, False), (10.0, 6, True), (0.1, 60, False)])
def test_rare_commands_are_missed_by_more_frames_before_it_is_told(make, monkeypatch, each, frames, told):
    """A command every 4 s: half of the frames are more than 1 s away from any."""
    commands = make(alarm_frames=3)
    commands.hear(array(1.0, 0.0))
    kept, message = commands.commands._commands.kept, commands.commands._commands.kept[-1][2]
    with monkeypatch.context() as patch:
        clock = Clock(patch)
        kept.clear()
        for number in range(frames):
            clock.set(number * each)
            kept.clear()
            kept.extend(Command(clock.now + ago, 0, message) for ago in (-9.5, -5.5, -1.5))
            status = commands.compare(1.0, 0.0, after=1.5)
    assert status.message.startswith("no command within 1 s of any of the last 6 frames") == told


def test_a_comparison_is_stale_once_frames_are_compared_no_more(make, monkeypatch):
    commands = make(agreement_tolerance=0.1, max_rate=0.1)
    commands.hear(array(20.0, 0.0))
    message = commands.commands._commands.kept[-1][2]
    with monkeypatch.context() as patch:
        clock = Clock(patch)

        def status(seconds):
            clock.set(seconds)
            commands.commands._commands.kept.append(Command(clock.now, 0, message))
            return commands.commands.status()

        status(0.0)
        assert commands.compare(10.0, 0.0).level == ERROR
        # Explanations come every 10 s at most, as max_rate has it.
        assert [status(seconds).level for seconds in (5.0, 10.0, 14.0)] == [ERROR, ERROR, ERROR]
        late = status(16.0)
        assert late.level == WARN
        assert late.message.startswith(
            "stale, 16 s old: commanded and own action differ by at most 10 cm (x)"
        )
        assert late.values["age of the comparison (s)"] == pytest.approx(16.0)
        assert commands.compare(10.0, 0.0).level == ERROR


def test_an_unstamped_command_is_the_nearest_in_time_and_says_so(make):
    commands = make(agreement_tolerance=0.1)
    commands.hear(array(10.5, 1.0))
    status = commands.compare(10.0, 1.0)
    assert status.level == OK
    assert status.message == (
        "commanded and own action differ by at most 0.5 cm (x), 0.5 times what is expected; nearest in time"
    )
    assert status.values["matched"] == "nearest in time"


def test_a_difference_beyond_what_is_expected_is_judged_and_clears_by_itself(make):
    commands = make(agreement_tolerance=0.1)
    commands.hear(array(12.0, 1.0))
    status = commands.compare(10.0, 1.0)
    assert status.level == WARN
    assert status.message.endswith(f"2.0 times what is expected; nearest in time; {LIKELY}")
    commands.hear(array(20.0, 1.0))
    assert commands.compare(10.0, 1.0).level == ERROR
    commands.hear(array(10.0, 1.0))
    assert commands.compare(10.0, 1.0).level == OK


def test_a_trajectory_is_matched_by_its_stamp_and_its_joints_by_name(make):
    commands = make(action_type="joint_trajectory", agreement_tolerance=0.1)
    commands.hear(trajectory(STAMP, 1.0, 10.0))
    commands.hear(trajectory(STAMP + 100 * MILLISECOND, 1.0, 99.0))
    # The second is nearer in time, and the first is the one that answers this frame.
    status = commands.compare(10.0, 1.0)
    assert (status.level, status.values["matched"]) == (OK, "by stamp")
    assert status.values["largest difference"] == 0.0


def test_a_command_that_comes_after_the_explanation_is_matched_with_its_own_frame(make):
    commands = make(action_type="joint_trajectory")
    commands.hear(trajectory(STAMP - 900 * MILLISECOND, 0.0, 0.0))
    assert commands.compare(5.0, 5.0).values["matched"] == "nearest in time"
    commands.hear(trajectory(STAMP, 5.0, 5.0))
    status = commands.compare(7.0, 7.0, stamps=(STAMP + 500 * MILLISECOND,))
    assert (status.values["matched"], status.values["largest difference"]) == ("by stamp", 0.0)


@pytest.mark.parametrize(
    ("stamp", "stamps", "stood_in", "matched"),
    [
        (STAMP, (STAMP - 30 * MILLISECOND, STAMP), (), "by stamp"),
        (STAMP, (STAMP, STAMP + 30 * MILLISECOND), (), "by stamp"),
        (STAMP + 1, (STAMP, STAMP), (), "nearest in time"),
        (STAMP + 20 * MILLISECOND, (STAMP, STAMP), (), "nearest in time"),
        (STAMP, (STAMP, STAMP + 3000 * MILLISECOND), (0,), "nearest in time"),
        (0, (0, 0), (), "nearest in time"),
    ],
)
def test_only_a_stamp_of_the_frame_itself_matches_by_stamp(make, stamp, stamps, stood_in, matched):
    commands = make(action_type="joint_trajectory")
    commands.hear(trajectory(stamp, 0.0, 0.0))
    assert commands.compare(0.0, 0.0, stamps=stamps, stood_in=stood_in).values["matched"] == matched


def test_of_two_commands_for_one_frame_the_newer_one_is_compared(make):
    commands = make(action_type="joint_trajectory")
    commands.hear(trajectory(STAMP, 9.0, 9.0))
    commands.hear(trajectory(STAMP, 1.0, 2.0))
    assert commands.compare(2.0, 1.0).values["largest difference"] == 0.0


def point(count, field="positions"):
    return JointTrajectoryPoint(**{field: [0.0] * count})


@pytest.mark.parametrize(
    ("kind", "message", "text"),
    [
        (
            "float32_multi_array",
            array(*[0.0] * MOST_NUMBERS),
            f"an action must have at most {MOST_NUMBERS} numbers and characters of names, got {MOST_NUMBERS + 7}",
        ),
        (
            "joint_trajectory",
            JointTrajectory(points=[point(0)] * (MOST_POINTS + 1)),
            f"a trajectory must have at most {MOST_POINTS} points, got {MOST_POINTS + 1}",
        ),
        (
            "joint_trajectory",
            JointTrajectory(points=[point(MOST_NUMBERS // 2), point(MOST_NUMBERS // 2 + 1, "effort")]),
            f"an action must have at most {MOST_NUMBERS} numbers and characters of names, got {MOST_NUMBERS + 1}",
        ),
        (
            "joint_trajectory",
            JointTrajectory(joint_names=["x" * MOST_NUMBERS], points=[point(1)]),
            f"an action must have at most {MOST_NUMBERS} numbers and characters of names, got {MOST_NUMBERS + 2}",
        ),
        (
            "joint_trajectory",
            JointTrajectory(header=Header(frame_id="x" * MOST_NUMBERS), points=[point(1)]),
            f"an action must have at most {MOST_NUMBERS} numbers and characters of names, got {MOST_NUMBERS + 1}",
        ),
    ],
)
def test_a_command_that_is_too_large_is_counted_and_not_kept(make, kind, message, text):
    commands = make(action_type=kind)
    commands.probe.publish("/probe/input/action", message)
    commands.probe.until(commands.faults.counts, "the bad message counted")
    assert commands.faults.counts() == {"action: too large": 1}
    assert (commands.commands.received, len(commands.commands._commands.kept)) == (0, 0)
    status = commands.commands.status()
    assert status.level == WARN
    assert status.message.startswith(f"bad message on action: {text}")
    small = array(1.0, 0.0) if kind == "float32_multi_array" else trajectory(STAMP, 0.0, 1.0)
    commands.hear(small)
    assert commands.compare(1.0, 0.0).level == OK


def test_the_longest_chunks_of_the_field_are_taken(make):
    commands = make(action_type="joint_trajectory")
    names = [f"joint_{number}" for number in range(64)]
    points = [JointTrajectoryPoint(positions=[0.0] * 64, velocities=[0.0] * 64) for _ in range(100)]
    commands.hear(JointTrajectory(joint_names=names, points=points))
    assert commands.commands.received == 1


def test_publishers_that_send_nothing_are_told_with_their_type(make, monkeypatch):
    commands = make()
    assert commands.commands.status().message == "no action topic"
    commands.probe.publisher(Float32MultiArray, "/probe/input/action")
    commands.probe.until(
        lambda: commands.commands.status().message == "no commanded action yet", "the publisher seen"
    )
    assert commands.commands.status().level == OK
    later = time.monotonic() + 7.0
    monkeypatch.setattr(agreement, "time", SimpleNamespace(monotonic=lambda: later))
    status = commands.commands.status()
    assert status.level == WARN
    assert status.message == (
        "no commanded action for 7 s, though /probe/input/action has a publisher of std_msgs/msg/Float32MultiArray"
    )


def test_a_publisher_of_another_type_is_named_and_a_warning_until_commands_come(make, domain):
    commands = make()
    other = Probe(domain)
    other.publisher(JointTrajectory, "/probe/input/action")
    line = (
        "nothing comes from /probe on /probe/input/action: it sends trajectory_msgs/msg/JointTrajectory and this node "
        "takes std_msgs/msg/Float32MultiArray"
    )
    commands.probe.until(lambda: commands.commands.status().message == line, "the other type named")
    assert commands.commands.status().level == WARN
    assert commands.commands.status().values["connection /probe/input/action"] == line
    commands.hear(array(1.0, 0.0))
    assert commands.compare(1.0, 0.0).level == OK
    other.close()
    key = "connection /probe/input/action"
    commands.probe.until(lambda: key not in commands.commands.status().values, "the line gone")


def test_the_spread_of_a_stochastic_policy_is_no_disagreement(make):
    commands = make(noisy=2.0, agreement_tolerance=0.0)
    commands.hear(array(1.0, 1.0))
    status = commands.compare(0.5, 0.5)
    assert status.level == OK
    assert 0.5 < status.values["expected difference"] < 2.0
    assert commands.policy.runs == DRAWS
    for _ in range(DRAWN_EVERY - 1):
        commands.compare(0.5, 0.5)
    assert commands.policy.runs == DRAWS
    commands.compare(0.5, 0.5)
    assert commands.policy.runs == 2 * DRAWS
    commands.hear(array(50.0, 1.0))
    assert commands.compare(0.5, 0.5).level == ERROR


def test_answers_under_other_noise_keep_the_gap_between_runs(make):
    slept = []
    commands = make(noisy=2.0)
    commands.pace = Pace(gap=3600.0, sleep=slept.append)
    commands.hear(array(1.0, 1.0))
    commands.compare(0.5, 0.5)
    assert commands.policy.runs == DRAWS
    # Before the first one of this policy there was no run.
    assert len(slept) == DRAWS - 1
    assert min(slept) > 3000.0


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            array(1.0, 2.0, 3.0),
            "bad message on action: commanded actions have 3 numbers a step, the policy gives 2",
        ),
        (
            Float32MultiArray(data=[1.0]),
            "bad message on action: actions must have the dimensions time, action",
        ),
    ],
)
def test_what_cannot_be_compared_is_named(make, message, text):
    commands = make()
    commands.hear(message)
    status = commands.compare(0.0, 0.0)
    assert status.level == WARN
    assert status.message.startswith(text)


def test_commands_that_stop_are_told_until_they_come_again(make, monkeypatch):
    commands = make()
    commands.hear(array(1.0, 0.0))
    assert commands.compare(1.0, 0.0).level == OK
    came = commands.commands._commands.kept[-1][0]
    with monkeypatch.context() as patch:
        clock = Clock(patch)
        clock.now = came + 6.0
        status = commands.commands.status()
        assert (status.level, status.message) == (WARN, "no commanded action for 6 s")
        assert status.values["age of the last command (s)"] == pytest.approx(6.0)
        # One every four seconds is how this policy commands; a long pause before says nothing of that.
        commands.commands._commands.kept.clear()
        commands.commands._commands.kept.extend(
            Command(came - ago, 0, None) for ago in (3600.0, 12.0, 8.0, 4.0, 0.0)
        )
        assert "no commanded action" not in commands.commands.status().message
        clock.now = came + 13.0
        assert commands.commands.status().message == "no commanded action for 13 s"
    commands.hear(array(1.0, 0.0))
    assert commands.compare(1.0, 0.0).level == OK


def test_a_stamped_command_is_judged_once_however_many_frames_have_none(make):
    commands = make(action_type="joint_trajectory", alarm_frames=3, agreement_tolerance=0.1)
    commands.hear(trajectory(STAMP, 0.0, 50.0))
    statuses = [commands.compare(1.0, 0.0)]
    for number in range(1, 6):
        statuses.append(commands.compare(1.0, 0.0, stamps=(STAMP + number,)))
    assert {status.level for status in statuses} == {OK}
    assert {status.values["largest difference"] for status in statuses} == {49.0}
    ages = [status.values["age of the comparison (s)"] for status in statuses]
    assert ages == sorted(ages)
    commands.hear(trajectory(STAMP, 0.0, 0.0, names=("x",)))
    for number in range(6, 9):
        status = commands.compare(1.0, 0.0, stamps=(STAMP + number,))
    assert status.level == WARN
    # Refused once, as it came once.
    assert sum(commands.faults.counts().values()) == 1


def test_the_commands_of_a_frames_time_wait_for_its_explanation(make):
    commands = make(agreement_tolerance=0.1)
    commands.hear(array(1.0, 0.0))
    first = commands.commands._commands.kept[-1]
    chunk, frame, *rest = commands.arguments(1.0, 0.0, after=0.5)
    commands.commands.attend(frame)
    for number in range(1, KEPT + 5):
        commands.commands._commands.add(Command(first.arrived + number, 0, array(99.0, 0.0)))
    assert first not in commands.commands._commands.kept
    commands.commands.compare(chunk, frame, *rest)
    status = commands.commands.status()
    assert (status.level, status.values["largest difference"]) == (OK, 0.0)
    assert status.values["compared with a command after (s)"] == pytest.approx(-0.5)


def test_commands_that_are_forgotten_and_do_not_come_again_are_missed(make, monkeypatch):
    commands = make()
    commands.hear(array(1.0, 0.0))
    with monkeypatch.context() as patch:
        clock = Clock(patch)
        commands.commands.reset()
        clock.set(4.0)
        assert commands.commands.status().level == OK
        clock.set(6.0)
        status = commands.commands.status()
        assert (status.level, status.message) == (WARN, "no commanded action for 6 s")


def test_another_time_forgets_the_commands(make):
    commands = make(action_type="joint_trajectory")
    commands.hear(trajectory(STAMP, 0.0, 0.0))
    commands.compare(0.0, 0.0)
    commands.commands.reset()
    assert commands.commands.status().message == "no frame has been compared yet"
    frame = SimpleNamespace(stamps={"front": STAMP}, stood_in=frozenset(), arrived=time.monotonic())
    commands.commands.compare(
        np.zeros((1, 2), np.float32), frame, None, commands.settings, lambda: None, Pace()
    )
    assert commands.commands.status().message == "no frame has been compared yet"
