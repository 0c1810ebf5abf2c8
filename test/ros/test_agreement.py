"""Commands of a real publisher beside answers that are made up."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builtin_interfaces.msg import Time
from std_msgs.msg import Float32MultiArray, Header, MultiArrayDimension, MultiArrayLayout
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_iss_ros.messages.stamps import stamp_from_nanoseconds
from vla_iss_ros.ros import agreement
from vla_iss_ros.ros.agreement import DRAWN_EVERY, DRAWS, LIKELY, CommandedActions
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
        self.policy = ToyPolicy(noisy)
        faults = Faults(probe.node.get_logger())
        self.commands = CommandedActions(probe.node, faults, self.policy, self.settings)

    def hear(self, message):
        before = self.commands.received
        self.probe.publish("/probe/input/action", message)
        self.probe.until(lambda: self.commands.received > before, "the command heard")

    def compare(self, *answer, stamp=STAMP, after=0.0):
        # Whatever a slow computer took: the command's own time of arrival.
        arrived = self.commands._kept[-1][0] + after
        frame = SimpleNamespace(stamp=stamp, arrived=arrived)
        self.commands.compare(np.array([answer], np.float32), frame, None, self.settings, lambda: None)
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
        probe.node.destroy_publisher(probe._publishers.pop("/probe/input/action"))


def array(*values):
    layout = MultiArrayLayout(dim=[MultiArrayDimension(label="action", size=len(values), stride=len(values))])
    return Float32MultiArray(layout=layout, data=list(values))


def trajectory(stamp, *values, names=("gripper", "x")):
    header = Header(stamp=stamp_from_nanoseconds(stamp, Time))
    point = JointTrajectoryPoint(positions=list(values))
    return JointTrajectory(header=header, joint_names=list(names), points=[point])


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_a_command_of_another_time_is_not_compared(make, seconds):
    commands = make()
    commands.hear(array(1.0, 0.0))
    status = commands.compare(0.0, 0.0, after=seconds)
    assert (status.level, status.message) == (WARN, "no command within 1 s of this frame")
    assert "largest difference" not in status.values
    assert commands.compare(1.0, 0.0).level == OK


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
    status = commands.compare(7.0, 7.0, stamp=STAMP + 500 * MILLISECOND)
    assert (status.values["matched"], status.values["largest difference"]) == ("by stamp", 0.0)


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


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (array(1.0, 2.0, 3.0), "commanded actions have 3 numbers a step, the policy gives 2"),
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
    came = commands.commands._kept[-1][0]
    with monkeypatch.context() as patch:
        patch.setattr(agreement, "time", SimpleNamespace(monotonic=lambda: came + 6.0))
        status = commands.commands.status()
        assert (status.level, status.message) == (WARN, "no commanded action for 6 s")
        assert status.values["age of the last command (s)"] == pytest.approx(6.0)
        # One every four seconds is how this policy commands; a long pause before says nothing of that.
        commands.commands._kept.clear()
        commands.commands._kept.extend((came - ago, 0, None) for ago in (3600.0, 12.0, 8.0, 4.0, 0.0))
        assert commands.commands.status().level == OK
        patch.setattr(agreement, "time", SimpleNamespace(monotonic=lambda: came + 13.0))
        assert commands.commands.status().message == "no commanded action for 13 s"
    commands.hear(array(1.0, 0.0))
    assert commands.compare(1.0, 0.0).level == OK


def test_another_time_forgets_the_commands(make):
    commands = make(action_type="joint_trajectory")
    commands.hear(trajectory(STAMP, 0.0, 0.0))
    commands.compare(0.0, 0.0)
    commands.commands.reset()
    assert commands.commands.status().message == "no frame has been compared yet"
    frame = SimpleNamespace(stamp=STAMP, arrived=time.monotonic())
    commands.commands.compare(np.zeros((1, 2), np.float32), frame, None, commands.settings, lambda: None)
    assert commands.commands.status().message == "no frame has been compared yet"
