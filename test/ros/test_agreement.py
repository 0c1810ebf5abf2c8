import math
import time

import numpy as np
import pytest
from std_msgs.msg import Float32MultiArray, MultiArrayDimension, MultiArrayLayout

from vla_iss_ros.ros.agreement import CommandedActions, compare_actions
from vla_iss_ros.ros.diagnostics import OK, WARN
from vla_iss_ros.ros.faults import Faults

NAMES, UNITS = ("x", "gripper"), ("cm", "1")


def test_the_largest_difference_is_named_in_its_unit():
    commanded = np.array([[1.0, 0.0], [2.0, 0.5]], np.float32)
    answer = np.array([[1.0, 0.0], [2.0, -0.5]], np.float32)
    agreement = compare_actions(commanded, answer, NAMES, UNITS, 0.1)
    assert (agreement.largest, agreement.name, agreement.unit) == (1.0, "gripper", "1")
    assert (agreement.mean, agreement.seconds, agreement.problem) == (0.25, 0.1, "")


def test_only_common_steps_are_compared():
    commanded = np.array([[1.0, 0.0]], np.float32)
    answer = np.array([[3.0, 0.0], [100.0, 0.0]], np.float32)
    assert compare_actions(commanded, answer, NAMES, UNITS, 0.0).largest == 2.0


@pytest.mark.parametrize("size", [1, 3])
def test_another_number_of_actions_is_named(size):
    agreement = compare_actions(
        np.zeros((2, size), np.float32), np.zeros((2, 2), np.float32), NAMES, UNITS, 0.0
    )
    assert agreement.problem == f"commanded actions have {size} numbers a step, the policy gives 2"
    assert math.isnan(agreement.largest)


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_a_command_of_another_time_is_not_compared(probe, seconds):
    commands = CommandedActions(probe.node, Faults(probe.node.get_logger()))
    layout = MultiArrayLayout(dim=[MultiArrayDimension(label="action", size=2, stride=2)])
    probe.publish("/probe/input/action", Float32MultiArray(layout=layout, data=[1.0, 0.0]))
    probe.until(lambda: commands.received, "the command heard")
    answer = np.zeros((1, 2), np.float32)
    commands.compare(answer, time.monotonic() + seconds, NAMES, UNITS)
    status = commands.status()
    assert (status.level, status.message) == (WARN, "no command within 1 s of this frame")
    assert "largest difference" not in status.values
    # Whatever a slow computer took: the command's own time of arrival.
    commands.compare(answer, commands._kept[-1][0], NAMES, UNITS)
    assert commands.status().level == OK
    assert commands.status().values["largest difference"] == 1.0
    commands.close()
