# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Action chunks in Float32MultiArray, and as JointTrajectory."""

import array
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from message_factory import TYPESTORE, Float32MultiArray, MultiArrayDimension, MultiArrayLayout

from vla_iss_ros.messages.actions import (
    decode_actions,
    decode_trajectory,
    encode_actions,
    encode_trajectory,
)
from vla_iss_ros.messages.errors import MessageError

CHUNK = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def encode(chunk):
    return encode_actions(chunk, Float32MultiArray, MultiArrayLayout, MultiArrayDimension)


def message_of(dimensions, data, offset=0):
    layout = MultiArrayLayout([MultiArrayDimension(*each) for each in dimensions], offset)
    return Float32MultiArray(layout, np.asarray(data, np.float32))


def test_dimensions_and_strides_are_those_of_std_msgs():
    message = encode(CHUNK)
    assert [(d.label, d.size, d.stride) for d in message.layout.dim] == [("time", 2, 6), ("action", 3, 3)]
    assert message.data.tolist() == [1, 2, 3, 4, 5, 6]


@given(st.integers(1, 5), st.integers(1, 5))
def test_chunks_survive_serialisation(steps, size):
    chunk = np.random.default_rng(steps * 10 + size).normal(size=(steps, size)).astype(np.float32)
    name = Float32MultiArray.__msgtype__
    restored = TYPESTORE.deserialize_cdr(TYPESTORE.serialize_cdr(encode(chunk), name), name)
    np.testing.assert_array_equal(decode_actions(restored), chunk)


def test_one_action_is_one_step():
    assert decode_actions(message_of([("action", 2, 2)], [1, 2])).tolist() == [[1, 2]]


def test_data_offset_is_skipped():
    assert decode_actions(message_of([("time", 1, 2), ("action", 2, 2)], [9, 1, 2], 1)).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("chunk", "shown"),
    [
        (np.zeros(3, np.float32), r"must be \[T, A\] and not empty, got \[3\]"),
        (np.zeros((0, 3), np.float32), r"got \[0, 3\]"),
        (np.array([[np.nan, 1, np.inf]]), "got 2 values that are not"),
    ],
)
def test_bad_chunks_are_refused(chunk, shown):
    with pytest.raises(ValueError, match=shown):
        encode(chunk)


@pytest.mark.parametrize(
    ("dimensions", "data", "offset", "reason", "shown"),
    [
        ([], [1.0], 0, "wrong dimensions", r"got \[\]"),
        ([("action", 1, 1), ("time", 1, 1)], [1.0], 0, "wrong dimensions", "'action', 'time'"),
        ([("time", 0, 0), ("action", 2, 2)], [], 0, "zero size", r"sizes \[0, 2\]"),
        ([("time", 1, 1), ("action", 2, 2)], [1, 2], 0, "wrong strides", r"strides \[2, 2\], got \[1, 2\]"),
        ([("time", 2, 4), ("action", 2, 2)], [1, 2, 3], 0, "length mismatch", "need 4 numbers, got 3"),
        ([("time", 1, 2), ("action", 2, 2)], [1, 2], 1, "length mismatch", "offset 1 need 3 numbers, got 2"),
        ([("action", 2, 2)], [1, np.nan], 0, "not finite", "1 values"),
        ([("time", 2**32 - 1, 1), ("action", 2**32 - 1, 1)], [1], 0, "wrong strides", "18446744065119617025"),
    ],
)
def test_bad_messages_are_refused(dimensions, data, offset, reason, shown):
    with pytest.raises(MessageError, match=shown) as caught:
        decode_actions(message_of(dimensions, data, offset))
    assert caught.value.reason == reason


def test_classes_of_rclpy():
    messages = pytest.importorskip("std_msgs.msg")
    types = (messages.Float32MultiArray, messages.MultiArrayLayout, messages.MultiArrayDimension)
    message = encode_actions(CHUNK, *types)
    assert isinstance(message.data, array.array)
    np.testing.assert_array_equal(decode_actions(message), CHUNK)


def rclpy_trajectory(chunk, names):
    messages = pytest.importorskip("trajectory_msgs.msg")
    stamp = pytest.importorskip("builtin_interfaces.msg").Time(sec=7, nanosec=8)
    return encode_trajectory(chunk, names, stamp, messages.JointTrajectory, messages.JointTrajectoryPoint)


def test_a_trajectory_has_names_positions_and_the_stamp_and_says_nothing_of_time_between_its_points():
    message = rclpy_trajectory(CHUNK, ["a", "b", "c"])
    assert message.joint_names == ["a", "b", "c"]
    assert [list(point.positions) for point in message.points] == CHUNK.tolist()
    assert {(point.time_from_start.sec, point.time_from_start.nanosec) for point in message.points} == {
        (0, 0)
    }
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (7, 8)
    np.testing.assert_array_equal(decode_trajectory(message, ["a", "b", "c"]), CHUNK)


@pytest.mark.parametrize(
    ("chunk", "names", "shown"),
    [
        (CHUNK, ["a", "b"], "must have one number for each of a, b, got 3"),
        (np.zeros((0, 1), np.float32), ["a"], r"must be \[T, A\] and not empty, got \[0, 1\]"),
        (np.array([[np.inf]]), ["a"], "got 1 values that are not"),
    ],
)
def test_what_is_no_trajectory_is_refused(chunk, names, shown):
    with pytest.raises(ValueError, match=shown):
        rclpy_trajectory(chunk, names)


def trajectory(names, *points):
    return SimpleNamespace(joint_names=names, points=[SimpleNamespace(positions=list(p)) for p in points])


def test_a_trajectory_is_read_by_name_whatever_its_order():
    message = trajectory(["c", "a", "b"], (3.0, 1.0, 2.0), (6.0, 4.0, 5.0))
    values = decode_trajectory(message, ["a", "b"])
    assert values.dtype == np.float32
    assert values.tolist() == [[1.0, 2.0], [4.0, 5.0]]


@pytest.mark.parametrize(
    ("message", "reason", "text"),
    [
        (trajectory(["a"], (1.0,)), "wrong names", "must name each of a, b once, got a"),
        (trajectory(["a", "b", "b"], (1.0, 2.0, 3.0)), "wrong names", "got a, b, b"),
        (trajectory([]), "wrong names", "got none"),
        (trajectory(["a", "b"]), "length mismatch", r"must have 2 positions and there must be one, got \[\]"),
        (trajectory(["a", "b"], (1.0, 2.0), (1.0,)), "length mismatch", r"got \[1, 2\]"),
        (trajectory(["a", "b"], (1.0, 1e300)), "not finite", "1 values that are not finite"),
    ],
)
def test_a_trajectory_that_does_not_fit_is_named(message, reason, text):
    with pytest.raises(MessageError, match=text) as caught:
        decode_trajectory(message, ["a", "b"])
    assert caught.value.reason == reason
