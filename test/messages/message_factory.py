# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Messages of rosbags' Jazzy classes, made by hand."""

from __future__ import annotations

import numpy as np
from rosbags.typesys import Stores, get_typestore

TYPESTORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = TYPESTORE.types
Time = TYPES["builtin_interfaces/msg/Time"]
Header = TYPES["std_msgs/msg/Header"]
Image = TYPES["sensor_msgs/msg/Image"]
CompressedImage = TYPES["sensor_msgs/msg/CompressedImage"]
JointState = TYPES["sensor_msgs/msg/JointState"]
String = TYPES["std_msgs/msg/String"]
Float32MultiArray = TYPES["std_msgs/msg/Float32MultiArray"]
MultiArrayLayout = TYPES["std_msgs/msg/MultiArrayLayout"]
MultiArrayDimension = TYPES["std_msgs/msg/MultiArrayDimension"]


def header(stamp: int = 0, frame: str = "camera"):
    return Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id=frame)


def raw_image(
    encoding: str, height: int, width: int, step: int, data: bytes, big_endian: int = 0, stamp: int = 0
):
    return Image(header(stamp), height, width, encoding, big_endian, step, np.frombuffer(data, np.uint8))


def image_of(pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False, stamp: int = 0):
    """A raw image of ``pixels`` [H, W(, C)]; its rows end in ``padding`` bytes of 0xEE."""
    stored = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    rows = np.ascontiguousarray(stored).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    height, width = pixels.shape[:2]
    return raw_image(encoding, height, width, rows.shape[1], rows.tobytes(), int(big_endian), stamp)


def compressed(data: bytes, format_name: str = "jpeg", stamp: int = 0):
    return CompressedImage(header(stamp), format_name, np.frombuffer(data, np.uint8))


def joint_state(names, positions, stamp: int = 0):
    empty = np.empty(0, np.float64)
    return JointState(header(stamp), list(names), np.asarray(positions, np.float64), empty, empty)
