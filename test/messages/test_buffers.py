# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Data fields of both kinds of messages."""

import array

import numpy as np
import pytest
from message_factory import Float32MultiArray, Image

from vla_iss_ros.messages.buffers import fill_buffer, read_buffer
from vla_iss_ros.messages.errors import MessageError


@pytest.mark.parametrize(
    "make", [bytes, bytearray, lambda data: array.array("B", data), lambda d: np.array(list(d), np.uint8)]
)
@pytest.mark.parametrize("data", [b"", b"\x01\x02\xff"])
def test_every_kind_of_bytes_is_read(make, data):
    assert read_buffer(make(data), "image").tobytes() == data


@pytest.mark.parametrize("data", [[1, 2], "ab", 5, np.zeros((2, 2), np.uint8)])
def test_anything_else_is_refused(data):
    with pytest.raises(MessageError, match="image: data must be bytes"):
        read_buffer(data, "image")


def test_rosbags_classes_take_arrays():
    assert fill_buffer(Image, np.ones((2, 2), np.uint8)).dtype == np.uint8
    assert fill_buffer(Float32MultiArray, np.ones((2, 2), np.float32)).shape == (4,)


def test_other_classes_take_array_array():
    assert fill_buffer(object, np.array([[1.5, 2.5]], np.float32)) == array.array("f", [1.5, 2.5])
    assert fill_buffer(object, np.array([1, 255], np.uint8)) == array.array("B", [1, 255])
