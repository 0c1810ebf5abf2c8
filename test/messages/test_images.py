# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Decoding of camera images and label images."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from message_factory import Float32MultiArray, compressed, image_of, raw_image

from vla_iss_ros.messages import images
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.images import IMAGE_ENCODINGS, LABEL_ENCODINGS, decode_image, decode_labels

# Two rows, three columns, by hand.
RGB = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[250, 0, 0], [0, 250, 0], [0, 0, 250]]], np.uint8)
ALPHA = np.full((2, 3, 1), 77, np.uint8)
# What each encoding holds in memory for the picture RGB.
IN_MEMORY = {
    "rgb8": RGB,
    "bgr8": RGB[..., ::-1],
    "rgba8": np.concatenate([RGB, ALPHA], 2),
    "bgra8": np.concatenate([RGB[..., ::-1], ALPHA], 2),
    "rgb16": RGB.astype(np.uint16) * 257,
    "bgr16": RGB[..., ::-1].astype(np.uint16) * 257,
    "rgba16": np.concatenate([RGB, ALPHA], 2).astype(np.uint16) * 257,
    "bgra16": np.concatenate([RGB[..., ::-1], ALPHA], 2).astype(np.uint16) * 257,
}
LAYOUTS = [(padding, big) for padding in (0, 1, 2, 7, 64) for big in (False, True)]


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def jpeg(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def random_pixels(encoding: str, height: int, width: int, seed: int = 0) -> np.ndarray:
    layout = IMAGE_ENCODINGS[encoding]
    shape = (height, width) if layout.channels == 1 else (height, width, layout.channels)
    return np.random.default_rng(seed).integers(0, np.iinfo(layout.dtype).max + 1, shape).astype(layout.dtype)


@pytest.mark.parametrize("encoding", IN_MEMORY)
@pytest.mark.parametrize(("padding", "big_endian"), LAYOUTS)
def test_colours_come_out_as_the_hand_made_picture(encoding, padding, big_endian):
    decoded = decode_image(image_of(np.ascontiguousarray(IN_MEMORY[encoding]), encoding, padding, big_endian))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, RGB)


@pytest.mark.parametrize(("padding", "big_endian"), LAYOUTS)
def test_mono_is_repeated_over_the_channels(padding, big_endian):
    grey = np.array([[0, 100, 255]], np.uint8)
    wanted = np.repeat(grey[..., None], 3, 2)
    np.testing.assert_array_equal(decode_image(image_of(grey, "mono8", padding, big_endian)), wanted)
    wide = grey.astype(np.uint16) * 257
    np.testing.assert_array_equal(decode_image(image_of(wide, "mono16", padding, big_endian)), wanted)


@pytest.mark.parametrize(
    ("pattern", "colours"), [("rggb", "RGGB"), ("bggr", "BGGR"), ("gbrg", "GBRG"), ("grbg", "GRBG")]
)
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_of_one_flat_colour(pattern, colours, bits):
    values = {"R": 200, "G": 100, "B": 50}
    tile = np.array([values[colour] for colour in colours]).reshape(2, 2)
    mosaic = np.tile(tile, (4, 4)) * (257 if bits == 16 else 1)
    message = image_of(mosaic.astype(np.uint16 if bits == 16 else np.uint8), f"bayer_{pattern}{bits}", 3)
    assert (decode_image(message)[1:-1, 1:-1] == [200, 100, 50]).all()


@pytest.mark.parametrize(
    ("encoding", "order"), [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")]
)
def test_yuv_422_byte_order(encoding, order):
    # ITU-R BT.601 studio range: Y 81, U 90, V 240 is pure red.
    values = {"y": 81, "u": 90, "v": 240}
    row = np.array([values[letter] for letter in order] * 2, np.uint8)
    decoded = decode_image(raw_image(encoding, 2, 4, 10, (row.tobytes() + b"\xee\xee") * 2))
    assert decoded.shape == (2, 4, 3)
    assert np.abs(decoded.astype(int) - [255, 0, 0]).max() <= 2


def test_result_is_a_copy():
    message = image_of(RGB, "rgb8")
    decoded = decode_image(message)
    decoded[:] = 0
    np.testing.assert_array_equal(decode_image(message), RGB)


# What every release of cv_bridge converts right; the one from PyPI knows few others.
CV_BRIDGE_ENCODINGS = ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8"]


@pytest.mark.parametrize("encoding", CV_BRIDGE_ENCODINGS)
def test_equal_to_cv_bridge(encoding):
    cv_bridge = pytest.importorskip("cv_bridge")
    messages = pytest.importorskip("sensor_msgs.msg")
    pixels = random_pixels(encoding, 6, 8)
    step = pixels.nbytes // 6
    message = messages.Image(height=6, width=8, encoding=encoding, step=step, data=pixels.tobytes())
    expected = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    np.testing.assert_array_equal(decode_image(message), expected)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", IMAGE_ENCODINGS)
def test_equal_to_rosbags_image(encoding, big_endian):
    rosbags_image = pytest.importorskip("rosbags.image")
    # Only what it does as cv_bridge does: it cuts 16 bits down where cv_bridge rounds.
    tolerance = 1 if encoding.endswith("16") else 0
    message = image_of(random_pixels(encoding, 6, 8), encoding, big_endian=big_endian)
    try:
        expected = rosbags_image.message_to_cvimage(message, "rgb8")
    except rosbags_image.ImageError as error:
        pytest.skip(f"rosbags-image does not convert {encoding}: {error}")
    difference = np.abs(decode_image(message).astype(int) - expected.astype(int)).max()
    assert difference <= tolerance


@pytest.mark.parametrize(
    "format_name", ["jpeg", "jpg", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8", ""]
)
def test_jpeg_whatever_its_format_field_says(format_name):
    picture = np.full((8, 16, 3), (200, 30, 90), np.uint8)
    decoded = decode_image(compressed(jpeg(picture[..., ::-1]), format_name))
    assert np.abs(decoded.astype(int) - picture).max() <= 3


@pytest.mark.parametrize("format_name", ["png", "rgb8; png compressed bgr8"])
def test_png_is_exact(format_name):
    np.testing.assert_array_equal(decode_image(compressed(png(RGB[..., ::-1]), format_name)), RGB)
    grey = np.array([[0, 9]], np.uint8)
    np.testing.assert_array_equal(decode_image(compressed(png(grey))), np.repeat(grey[..., None], 3, 2))


def test_equal_to_rosbags_image_on_jpeg():
    rosbags_image = pytest.importorskip("rosbags.image")
    picture = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)
    message = compressed(jpeg(picture))
    np.testing.assert_array_equal(decode_image(message), rosbags_image.message_to_cvimage(message, "rgb8"))


def test_trailing_padding_after_a_jpeg_is_accepted():
    picture = np.full((8, 8, 3), 90, np.uint8)
    assert decode_image(compressed(jpeg(picture) + b"\0" * 20)).shape == (8, 8, 3)


@pytest.mark.parametrize("encoding", LABEL_ENCODINGS)
@pytest.mark.parametrize(("padding", "big_endian"), LAYOUTS)
def test_raw_labels_are_exact(encoding, padding, big_endian):
    dtype = LABEL_ENCODINGS[encoding].dtype
    labels = np.array([[0, 1, 2], [3, 200, np.iinfo(dtype).max]], dtype)
    decoded = decode_labels(image_of(labels, encoding, padding, big_endian))
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_labels_keep_their_depth(dtype):
    labels = np.array([[0, 1, 2], [3, 200, np.iinfo(dtype).max]], dtype)
    decoded = decode_labels(compressed(png(labels), "png"))
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, labels)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_by_hand(width: int, height: int, bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("message", "reason", "text"),
    [
        (compressed(jpeg(RGB)), "lossy labels", "must be PNG, got JPEG"),
        (compressed(png(RGB), "png"), "colour labels", "got colour of 8 bits"),
        (compressed(png_by_hand(2, 1, 4, 0, b"\0\x12"), "png"), "colour labels", "got grey of 4 bits"),
        (
            compressed(png_by_hand(2, 1, 8, 3, b"\0\0\1", chunk(b"PLTE", bytes(6))), "png"),
            "colour labels",
            "got colour of 8 bits",
        ),
        (image_of(RGB, "rgb8"), "unknown encoding", "'rgb8'; supported: mono8, 8UC1"),
    ],
)
def test_what_cannot_hold_labels_is_refused(message, reason, text):
    with pytest.raises(MessageError, match=text) as caught:
        decode_labels(message)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("message", "reason", "text"),
    [
        (raw_image("8UC3", 1, 1, 3, b"abc"), "unknown encoding", "encoding '8UC3'; supported: rgb8"),
        (raw_image("", 1, 1, 3, b"abc"), "unknown encoding", "encoding ''"),
        (raw_image("rgb8", 2, 1, 3, b"abc"), "truncated", r"6 bytes \(step 3 x height 2\), got 3"),
        (raw_image("rgb8", 1, 1, 3, b""), "truncated", "got 0"),
        (raw_image("rgb8", 1, 1, 3, b"abcd"), "length mismatch", "must have 3 bytes"),
        (raw_image("rgb8", 0, 5, 15, b""), "zero size", "height 0 and width 5"),
        (raw_image("rgb8", 5, 0, 0, b""), "zero size", "height 5 and width 0"),
        (raw_image("rgb8", 1, 2, 5, b"abcde"), "step too small", "step of 6 bytes, got 5"),
        (raw_image("mono16", 1, 2, 3, b"abc"), "step too small", "step of 4 bytes, got 3"),
        (raw_image("mono8", 2**31, 2**31, 2**31, b"abc"), "too large", "64000000 pixels, got 2147483648 x"),
        (raw_image("yuv422", 1, 3, 6, b"abcdef"), "bad size", "even width, got 3"),
        (compressed(b""), "wrong format", "begin with nothing"),
        (compressed(b"\0\0\0\x01gE", "h264"), "wrong format", r"00 00 00 01 67 45 \(format 'h264'\)"),
        (compressed(jpeg(RGB)[:-2]), "truncated", "JPEG of .* has no end mark"),
        (compressed(b"\xff\xd8\xff\xd9"), "truncated", "no frame header"),
        (compressed(png(RGB)[:-12], "png"), "truncated", "PNG of .* has no end mark"),
        (compressed(png(RGB)[:20], "png"), "truncated", "no whole header"),
        (compressed(png_by_hand(100000, 100000, 8, 2, b"\0"), "png"), "too large", "got 100000 x 100000"),
        (
            compressed(png_by_hand(1, 10**6, 8, 2, b"\0"), "png"),
            "too large",
            "16384 pixels a side, got 1000000 x 1",
        ),
        (
            raw_image("mono8", 1, 16385, 16385, bytes(16385)),
            "too large",
            "16384 pixels a side, got 1 x 16385",
        ),
        (compressed(png_by_hand(0, 1, 8, 2, b"\0"), "png"), "zero size", "width 0"),
        (compressed(png_by_hand(4, 4, 8, 2, b"\0"), "png"), "undecodable", "cannot be decoded"),
        (Float32MultiArray(None, None), "wrong type", "Image or CompressedImage, got"),
    ],
)
def test_unusable_images_are_refused_with_the_reason(message, reason, text):
    with pytest.raises(MessageError, match=text) as caught:
        decode_image(message)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


def jpeg_that_claims(height: int, width: int) -> bytes:
    data = bytearray(jpeg(np.zeros((8, 8, 3), np.uint8)))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("size", [(65000, 65000), (1, 16385), (16385, 1)])
def test_size_of_a_jpeg_is_checked_before_it_is_decoded(monkeypatch, size):
    monkeypatch.setattr(images.cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(MessageError, match=f"pixels.*, got {size[0]} x {size[1]}"):
        decode_image(compressed(jpeg_that_claims(*size)))


@pytest.mark.parametrize("size", [(1, 10**6), (10**6, 1)])
def test_labels_of_a_long_side_are_refused_before_they_are_decoded(monkeypatch, size):
    labels = np.zeros(size, np.uint8)
    file = compressed(png(labels), "png")
    assert file.data.size < 4000
    monkeypatch.setattr(images.cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for message in (file, image_of(labels, "mono8")):
        with pytest.raises(
            MessageError, match=f"label image .* 16384 pixels a side, got {size[0]} x {size[1]}"
        ):
            decode_labels(message)


@pytest.mark.parametrize("size", [(1, 16384), (16384, 1)])
def test_the_longest_side_is_accepted(size):
    pixels = np.zeros(size, np.uint8)
    for message in (compressed(png(pixels), "png"), image_of(pixels, "mono8")):
        assert decode_image(message).shape == (*size, 3)
        assert decode_labels(message).shape == size


@pytest.mark.parametrize("data", ["text", [1, 2, 3], None, np.zeros(3, np.float32)])
def test_data_that_is_not_bytes_is_refused(data):
    message = image_of(RGB[:1, :1], "rgb8")
    message.data = data
    with pytest.raises(MessageError, match="data must be bytes"):
        decode_image(message)


def decodes_or_refuses(message) -> None:
    for decode in (decode_image, decode_labels):
        try:
            decoded = decode(message)
        except MessageError:
            continue
        assert decoded.size > 0


@given(
    st.sampled_from([*IMAGE_ENCODINGS, "8UC1", "16UC1", "junk"]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 80),
    st.integers(0, 1),
    st.binary(max_size=200),
)
def test_no_raw_image_crashes(encoding, height, width, step, big_endian, data):
    decodes_or_refuses(raw_image(encoding, height, width, step, data, big_endian))


@given(
    st.sampled_from(list(IMAGE_ENCODINGS)),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_whole_image_is_decoded(encoding, height, width, padding, big_endian):
    width += width % 2 if IMAGE_ENCODINGS[encoding].channels == 2 else 0
    message = image_of(random_pixels(encoding, height, width), encoding, padding, big_endian)
    assert decode_image(message).shape == (height, width, 3)


@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]),
    st.binary(max_size=200),
    st.text(max_size=20),
)
def test_no_compressed_bytes_crash(start, data, format_name):
    decodes_or_refuses(compressed(start + data, format_name))


SOURCES = [jpeg(np.dstack([RGB] * 3)[..., :3]), png(RGB), png(RGB[..., 0])]


# Up to the largest size that is accepted, decoders take their time.
@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(SOURCES),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.data(),
)
def test_no_damaged_file_crashes(source, changes, data):
    damaged = bytearray(source)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    cut = data.draw(st.integers(0, len(damaged)))
    decodes_or_refuses(compressed(bytes(damaged[:cut]) + bytes(damaged[-cut:] if cut % 2 else b"")))
    decodes_or_refuses(compressed(bytes(damaged)))
