# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_iss_ros.ros.alarms import UNDEFINED_FACTOR, Alarm
from vla_iss_ros.ros.diagnostics import ERROR, OK, WARN


def levels(values, hold=1, hysteresis=0.1):
    alarm = Alarm()
    return [alarm.update(value, 1.0, 2.0, hysteresis, hold) for value in values]


def test_it_rises_at_the_threshold_and_falls_only_below_its_lower_edge():
    assert levels([0.99, 1.0, 0.95, 0.9, 0.89]) == [OK, WARN, WARN, WARN, OK]
    assert levels([2.0, 1.81, 1.79, 0.95, 0.5]) == [ERROR, ERROR, WARN, WARN, OK]


def test_it_takes_as_many_in_a_row_as_it_holds():
    assert levels([3.0, 3.0, 0.0, 3.0, 3.0, 3.0], hold=3) == [OK, OK, OK, OK, OK, ERROR]
    assert levels([3.0] * 2 + [0.0, 0.0], hold=2) == [OK, ERROR, ERROR, OK]


def test_it_rises_and_falls_only_as_far_as_all_agree():
    assert levels([1.5, 3.0, 3.0, 3.0], hold=2) == [OK, WARN, WARN, ERROR]
    assert levels([3.0, 3.0, 1.5, 0.0, 0.0, 0.0], hold=2) == [OK, ERROR, ERROR, WARN, WARN, OK]


def test_nothing_to_judge_keeps_the_level_and_what_is_in_a_row():
    assert levels([2.5, math.nan] * 4, hold=3) == [OK] * 4 + [ERROR] * 4
    assert levels([3.0, math.nan, 0.0, math.nan, 0.0], hold=1) == [ERROR, ERROR, OK, OK, OK]
    falling = [3.0, 3.0, 0.0, math.nan, 0.0]
    assert levels(falling, hold=2) == [OK, ERROR, ERROR, ERROR, OK]


@pytest.mark.parametrize("hold", [1, 3])
def test_nothing_to_judge_for_long_forgets_the_level_and_what_is_in_a_row(hold):
    many = [math.nan] * UNDEFINED_FACTOR * hold
    assert levels([3.0] * hold + many, hold)[-2:] == [ERROR, OK]
    assert levels([3.0] * hold + many[1:] + [3.0] + many[1:], hold)[-1] == ERROR
    assert levels([3.0, *many, *[3.0] * hold], hold + 1)[-1] == ERROR
    assert levels([3.0, *many, *[math.nan] * UNDEFINED_FACTOR, *[3.0] * hold], hold + 1)[-1] == OK


@pytest.mark.parametrize("hold", [1, 2, 5])
@given(st.lists(st.floats(0, 5), max_size=20))
def test_alarms_clear_by_themselves(hold, values):
    assert levels([*values, *[0.0] * (2 * hold)], hold)[-1:] in ([OK], [])


@given(st.lists(st.floats(0.91, 0.999), max_size=30), st.sampled_from([OK, WARN]))
def test_values_within_the_hysteresis_change_nothing(values, start):
    first = [1.0] if start == WARN else []
    assert set(levels([*first, *values])[len(first) :]) <= {start}
