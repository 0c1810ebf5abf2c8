# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Filling of image messages."""

import array

import numpy as np
import pytest
from message_factory import TYPESTORE, CompressedImage, Image, header

from vla_iss_ros.messages.encoding import encode_compressed_image, encode_image
from vla_iss_ros.messages.images import decode_image, decode_labels

RGB = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_rgb8_survives_serialisation():
    message = encode_image(RGB, header(5, "front_camera"), Image, "rgb8")
    assert (message.height, message.width, message.step, message.is_bigendian) == (2, 4, 12, 0)
    restored = TYPESTORE.deserialize_cdr(
        TYPESTORE.serialize_cdr(message, Image.__msgtype__), Image.__msgtype__
    )
    assert restored.header == header(5, "front_camera")
    np.testing.assert_array_equal(decode_image(restored), RGB)


def test_views_that_are_not_contiguous_are_written_in_order():
    np.testing.assert_array_equal(
        decode_image(encode_image(RGB[:, ::-1], header(), Image, "rgb8")), RGB[:, ::-1]
    )


@pytest.mark.parametrize(("encoding", "dtype"), [("mono8", np.uint8), ("mono16", np.uint16)])
def test_labels_survive(encoding, dtype):
    labels = np.array([[0, 1], [2, np.iinfo(dtype).max]], dtype)
    np.testing.assert_array_equal(decode_labels(encode_image(labels, header(), Image, encoding)), labels)


def test_maps_are_little_endian_float32():
    values = np.array([[0.5, -1.25], [3e-9, 7.0]], np.float32)
    message = encode_image(values, header(), Image, "32FC1")
    assert message.step == 8
    np.testing.assert_array_equal(np.frombuffer(message.data.tobytes(), "<f4").reshape(2, 2), values)


@pytest.mark.parametrize("format_name", ["jpeg", "png"])
def test_compressed_images_come_back(format_name):
    picture = np.full((16, 16, 3), (200, 30, 90), np.uint8)
    decoded = decode_image(encode_compressed_image(picture, header(), CompressedImage, format_name))
    assert np.abs(decoded.astype(int) - picture).max() <= (3 if format_name == "jpeg" else 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compressed_labels_come_back(dtype):
    labels = np.array([[0, 1], [2, np.iinfo(dtype).max]], dtype)
    np.testing.assert_array_equal(
        decode_labels(encode_compressed_image(labels, header(), CompressedImage, "png")), labels
    )


@pytest.mark.parametrize(
    ("pixels", "encoding", "text"),
    [
        (RGB, "bgr8", "encoding must be one of rgb8, mono8, mono16, 32FC1, got 'bgr8'"),
        (RGB.astype(np.float32), "rgb8", r"rgb8 needs uint8 \[H, W, 3\], not empty, got float32 \[2, 4, 3\]"),
        (RGB[..., :2], "rgb8", r"got uint8 \[2, 4, 2\]"),
        (RGB, "mono8", r"mono8 needs uint8 \[H, W\]"),
        (np.zeros((0, 4), np.float32), "32FC1", r"not empty, got float32 \[0, 4\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(pixels, encoding, text):
    with pytest.raises(ValueError, match=text):
        encode_image(pixels, header(), Image, encoding)


@pytest.mark.parametrize(
    ("pixels", "options", "text"),
    [
        (RGB, {"format_name": "gif"}, "format must be jpeg or png, got 'gif'"),
        (RGB, {"quality": 0}, r"quality must be in \[1, 100\], got 0"),
        (np.zeros((2, 2), np.uint16), {}, "jpeg holds 8 bits, got uint16"),
        (np.zeros((2, 2), np.float32), {"format_name": "png"}, "mono8 needs uint8"),
    ],
)
def test_compression_that_does_not_fit_is_refused(pixels, options, text):
    with pytest.raises(ValueError, match=text):
        encode_compressed_image(pixels, header(), CompressedImage, **options)


def test_classes_of_rclpy_are_filled_and_read():
    messages = pytest.importorskip("sensor_msgs.msg")
    std_messages = pytest.importorskip("std_msgs.msg")
    stamped = std_messages.Header(frame_id="front_camera")
    stamped.stamp.sec = 7
    message = encode_image(RGB, stamped, messages.Image, "rgb8")
    assert isinstance(message.data, array.array)
    assert message.header == stamped
    np.testing.assert_array_equal(decode_image(message), RGB)
    packed = encode_compressed_image(RGB, stamped, messages.CompressedImage, "png")
    np.testing.assert_array_equal(decode_image(packed), RGB)
