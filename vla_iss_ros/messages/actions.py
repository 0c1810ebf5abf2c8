# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Action chunks as std_msgs/Float32MultiArray with the dimensions "time" and "action", or as JointTrajectory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vla_iss_ros.messages.buffers import fill_buffer
from vla_iss_ros.messages.errors import MessageError

TIME, ACTION = "time", "action"


def encode_actions(chunk: np.ndarray, array_type: Any, layout_type: Any, dimension_type: Any) -> Any:
    """Return ``chunk`` float32 [T, A] as a Float32MultiArray.

    The three types are the classes of Float32MultiArray, MultiArrayLayout and MultiArrayDimension. Strides
    follow std_msgs: the first one is the size of all, T * A. Raises ValueError for another shape or values
    that are not finite.
    """
    values = _checked(chunk)
    steps, size = values.shape
    dimensions = [
        dimension_type(label=TIME, size=steps, stride=steps * size),
        dimension_type(label=ACTION, size=size, stride=size),
    ]
    return array_type(layout=layout_type(dim=dimensions, data_offset=0), data=fill_buffer(array_type, values))


def encode_trajectory(
    chunk: np.ndarray, names: Sequence[str], stamp: Any, trajectory_type: Any, point_type: Any
) -> Any:
    """Return ``chunk`` float32 [T, A] as a JointTrajectory whose points have the positions of ``names``.

    ``stamp``: builtin_interfaces/Time of the frame that it answers. The two types are rclpy's classes of
    JointTrajectory and JointTrajectoryPoint. A policy does not say how far its steps are apart, so time_from_start
    stays 0. Raises ValueError as :func:`encode_actions` does, and for names that do not match.
    """
    values = _checked(chunk)
    if len(names) != values.shape[1]:
        raise ValueError(
            f"action chunk must have one number for each of {', '.join(names)}, got {values.shape[1]}"
        )
    message = trajectory_type(joint_names=list(names))
    message.header.stamp = stamp
    message.points = [point_type(positions=[float(value) for value in step]) for step in values]
    return message


def _checked(chunk: np.ndarray) -> np.ndarray:
    values = np.asarray(chunk, np.float32)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"action chunk must be [T, A] and not empty, got {list(values.shape)}")
    if not np.isfinite(values).all():
        raise ValueError(
            f"action chunk must be finite, got {int((~np.isfinite(values)).sum())} values that are not"
        )
    return values


def decode_actions(message: Any) -> np.ndarray:
    """Return float32 [T, A] from a Float32MultiArray; a lone dimension "action" is one step, [1, A].

    Raises MessageError for other dimensions, sizes or strides that do not fit the data, and values that are
    not finite.
    """
    dimensions = list(message.layout.dim)
    labels = [dimension.label for dimension in dimensions]
    if labels not in ([TIME, ACTION], [ACTION]):
        raise MessageError(
            "wrong dimensions", f"actions must have the dimensions time, action; got {labels[:8]}"
        )
    sizes = [int(dimension.size) for dimension in dimensions]
    strides = [int(dimension.stride) for dimension in dimensions]
    offset = int(message.layout.data_offset)
    if min(sizes) < 1:
        raise MessageError("zero size", f"actions must not be empty, got sizes {sizes}")
    expected = [int(np.prod(sizes[place:], dtype=object)) for place in range(len(sizes))]
    if strides != expected:
        raise MessageError(
            "wrong strides", f"actions of sizes {sizes} must have strides {expected}, got {strides}"
        )
    if offset < 0 or offset + expected[0] != len(message.data):
        raise MessageError(
            "length mismatch",
            f"actions of sizes {sizes} at offset {offset} need {offset + expected[0]} numbers, "
            f"got {len(message.data)}",
        )
    values = np.array(message.data, np.float32)[offset:].reshape(-1, sizes[-1])
    if not np.isfinite(values).all():
        raise MessageError(
            "not finite", f"actions hold {int((~np.isfinite(values)).sum())} values that are not finite"
        )
    return values


def decode_trajectory(message: Any, names: Sequence[str]) -> np.ndarray:
    """Return float32 [T, A], the positions of a JointTrajectory's points, for ``names`` in their order.

    Joints of other names are left out. Raises MessageError for missing or repeated names, no points, positions that do
    not match the names, and values that are not finite.
    """
    have = list(message.joint_names)
    missing = [name for name in names if name not in have]
    if missing or len(set(have)) != len(have):
        raise MessageError(
            "wrong names",
            f"the trajectory must name each of {', '.join(names)} once, got {', '.join(have[:16]) or 'none'}",
        )
    lengths = {len(point.positions) for point in message.points}
    if lengths != {len(have)}:
        raise MessageError(
            "length mismatch",
            f"every point must have {len(have)} positions and there must be one, got {sorted(lengths)[:8]}",
        )
    with np.errstate(over="ignore"):
        points = np.array([point.positions for point in message.points], np.float64).astype(np.float32)
    values = points[:, [have.index(name) for name in names]]
    if not np.isfinite(values).all():
        raise MessageError(
            "not finite", f"actions hold {int((~np.isfinite(values)).sum())} values that are not finite"
        )
    return values
