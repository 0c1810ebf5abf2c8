import math

import numpy as np
import pytest

from vla_iss_ros.ros.agreement import compare_actions

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
