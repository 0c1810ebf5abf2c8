# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The policy's state from joint states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from message_factory import joint_state

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.joint_states import state_from_joint_state


def test_names_set_the_order():
    state = state_from_joint_state(joint_state(["a", "b", "c"], [1.0, 2.0, 3.0]), ["c", "a"])
    assert state.dtype == np.float32
    assert state.tolist() == [3.0, 1.0]


def test_degrees():
    state = state_from_joint_state(joint_state(["a", "b"], [np.pi, -np.pi / 2]), ["a", "b"], "deg")
    assert state.tolist() == [180.0, -90.0]


def test_names_that_are_not_asked_for_may_be_anything():
    assert state_from_joint_state(joint_state(["a", "x", "x"], [1.0, np.nan, 2.0]), ["a"]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("names", "positions", "reason", "shown"),
    [
        (["a"], [1.0], "missing names", "lacks 'b'; it has 'a'"),
        ([], [], "missing names", "lacks 'a', 'b'; it has none"),
        (["a", "b"], [1.0], "length mismatch", "2 names but 1 positions: 'a', 'b'"),
        (["a", "b"], [], "length mismatch", "2 names but 0 positions"),
        (["a", "b", "a"], [1.0, 2.0, 3.0], "repeated names", "names 'a' more than once"),
        (["a", "b"], [1.0, np.nan], "not finite", "got b = nan"),
        (["a", "b"], [np.inf, -np.inf], "not finite", "got a = inf, b = -inf"),
        (["a", "b"], [1e300, 0.0], "not finite", "got a = 1e"),
    ],
)
def test_bad_states_are_refused_by_name(names, positions, reason, shown):
    with pytest.raises(MessageError, match=shown) as caught:
        state_from_joint_state(joint_state(names, positions), ["a", "b"])
    assert caught.value.reason == reason


def test_the_error_stays_short():
    names = [f"joint_{number}" for number in range(500)]
    with pytest.raises(MessageError) as caught:
        state_from_joint_state(joint_state(names, np.zeros(500)), ["absent"])
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("names", "unit", "shown"),
    [(["a"], "grad", "one of rad, deg, got 'grad'"), ([], "rad", "at least one name")],
)
def test_wrong_settings_are_refused(names, unit, shown):
    with pytest.raises(ValueError, match=shown):
        state_from_joint_state(joint_state(["a"], [1.0]), names, unit)


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.floats(width=64), max_size=4))
def test_nothing_crashes_and_states_are_finite(names, positions):
    try:
        state = state_from_joint_state(joint_state(names, positions), ["a", "b"])
    except MessageError:
        return
    assert np.isfinite(state).all()


def test_rclpy_joint_states():
    messages = pytest.importorskip("sensor_msgs.msg")
    message = messages.JointState(name=["a", "b"], position=[1.0, 2.0])
    assert state_from_joint_state(message, ["b", "a"]).tolist() == [2.0, 1.0]
