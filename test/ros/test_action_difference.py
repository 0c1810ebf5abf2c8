# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from vla_iss_ros.ros.action_difference import OwnActions, differ, spread_of

NAMES, UNITS = ("x", "gripper"), ("cm", "1")


def chunk(*rows):
    return np.array(rows, np.float32)


def test_the_action_that_stands_out_most_is_named_in_its_unit():
    commanded, answer = chunk([11.0, 0.0], [2.0, 0.5]), chunk([1.0, 0.0], [2.0, -0.5])
    found = differ(commanded, answer, np.array([10.0, 0.25], np.float32), NAMES, UNITS)
    assert (found.largest, found.expected, found.ratio) == (1.0, 0.25, 4.0)
    assert (found.name, found.unit, found.mean) == ("gripper", "1", 2.75)


def test_only_common_steps_are_compared():
    found = differ(chunk([1.0, 0.0]), chunk([3.0, 0.0], [100.0, 0.0]), np.ones(2, np.float32), NAMES, UNITS)
    assert found.largest == 2.0


def test_where_nothing_is_expected_equal_is_equal():
    nothing = np.zeros(2, np.float32)
    assert differ(chunk([1.0, 2.0]), chunk([1.0, 2.0]), nothing, NAMES, UNITS).ratio == 0.0
    assert differ(chunk([1.0, 2.0]), chunk([1.0, 2.1]), nothing, NAMES, UNITS).ratio == np.inf


@pytest.mark.parametrize("size", [1, 3])
def test_another_number_of_actions_is_named(size):
    expected = f"commanded actions have {size} numbers a step, the policy gives 2"
    with pytest.raises(ValueError, match=expected):
        differ(np.zeros((2, size), np.float32), np.zeros((2, 2), np.float32), np.ones(2), NAMES, UNITS)


def test_what_is_expected_is_the_largest_of_noise_tolerance_and_motion():
    own, quiet = OwnActions(), np.zeros(2, np.float32)
    own.add(chunk([0.0, 10.0]))
    own.add(chunk([4.0, 10.0]))
    # Sizes 4 and 10; from the first to the second frame x moved by 4.
    assert own.expected(quiet, 0.1, by_stamp=True) == pytest.approx([0.4, 1.0])
    assert own.expected(quiet, 0.1, by_stamp=False) == pytest.approx([4.0, 1.0])
    assert own.expected(chunk([5.0, 3.0])[0], 0.1, by_stamp=True) == pytest.approx([5.0, 3.0])


def test_the_spread_is_the_largest_difference_of_two_answers():
    answers = np.stack([chunk([0.0, 1.0], [2.0, 1.0]), chunk([3.0, 1.0], [2.5, 1.0])])
    assert spread_of(answers) == pytest.approx([3.0, 0.0])
