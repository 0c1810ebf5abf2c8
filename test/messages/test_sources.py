# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Numbers selected from messages, and images at a contract's size."""

from types import SimpleNamespace

import numpy as np
import pytest
from message_factory import Float32MultiArray, MultiArrayLayout, joint_state

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.sources import JOINT_STATE, StateSource, nearest_resize, state_names

TWIST = SimpleNamespace(
    twist=SimpleNamespace(linear=SimpleNamespace(x=0.5), angular=SimpleNamespace(z=-np.pi))
)


def test_joints_are_selected_in_order_with_fields_and_units():
    message = joint_state(["a", "b"], [np.pi, 0.5])
    message.velocity = np.array([1.0, -2.0])
    source = StateSource("/arm", JOINT_STATE, ("velocity.b", "position.a", "b"))
    assert source.read(message).tolist() == pytest.approx([-2.0, np.pi, 0.5])
    assert source.joints == {"a", "b"}
    assert StateSource("/arm", JOINT_STATE, ("position.a",), degrees=True).read(message).tolist() == [180.0]


def test_a_joint_may_have_a_dot_in_its_name():
    message = joint_state(["left.elbow"], [2.0])
    for selector in ("left.elbow", "position.left.elbow"):
        assert StateSource("/arm", JOINT_STATE, (selector,)).read(message).tolist() == [2.0]


def test_any_other_message_is_read_by_dotted_paths():
    source = StateSource(
        "/odom", "nav_msgs/msg/Odometry", ("twist.linear.x", "twist.angular.z"), degrees=True
    )
    assert source.read(TWIST).tolist() == pytest.approx([np.degrees(0.5), -180.0])
    assert source.joints == frozenset()
    array = Float32MultiArray(MultiArrayLayout([], 0), np.array([1.0, 2.0, 3.0], np.float32))
    selected = StateSource("/gripper", "std_msgs/msg/Float32MultiArray", ("data.2", "data.0"))
    assert selected.read(array).tolist() == [3.0, 1.0]
    assert state_names([source, selected]) == ("twist.linear.x", "twist.angular.z", "data.2", "data.0")


@pytest.mark.parametrize(
    ("selector", "reason", "match"),
    [
        ("twist.linear.y", "missing names", "message has no 'y' of 'twist.linear.y'"),
        ("twist.0", "missing names", "message has no '0' of 'twist.0'"),
        ("twist.linear", "wrong type", "'twist.linear' must be a number, got SimpleNamespace"),
    ],
)
def test_what_a_message_lacks_is_named(selector, reason, match):
    with pytest.raises(MessageError, match=match) as caught:
        StateSource("/odom", "nav_msgs/msg/Odometry", (selector,)).read(TWIST)
    assert caught.value.reason == reason


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_numbers_must_be_finite_in_float32(value):
    with pytest.raises(MessageError, match="data must be finite, got"):
        StateSource("/x", "std_msgs/msg/Float64", ("data",)).read(SimpleNamespace(data=value))


def test_images_are_resized_by_nearest_neighbours_and_corners_stay():
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert nearest_resize(pixels, None) is pixels
    assert nearest_resize(pixels, (4, 6)) is pixels
    assert nearest_resize(pixels, (2, 3)).tolist() == [[0, 2, 5], [18, 20, 23]]
    assert nearest_resize(np.stack([pixels] * 3, 2), (8, 6)).shape == (8, 6, 3)
