# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Camera images and label images from sensor_msgs/Image and CompressedImage.

The layout of a raw image (row padding, byte order, size) is handled here and its colours by OpenCV, so that
every installation shows the method the same pixels: released cv_bridge and rosbags-image ignore ``step``, and
do not know all of these encodings. Where they do apply, the results are held equal to theirs by test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from vla_iss_ros.messages.buffers import read_buffer
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.image_headers import ImageHeader, read_image_header

MOST_PIXELS = 64_000_000
# A side costs memory of its own: pictures get lines of text as wide as the image.
LONGEST_SIDE = 16384


@dataclass(frozen=True)
class _Encoding:
    """Channels and type as they lie in memory, and OpenCV's conversion to RGB (None: it is RGB already)."""

    channels: int
    dtype: type
    to_rgb: int | None


def _make_encodings() -> dict[str, _Encoding]:
    # OpenCV names a Bayer pattern by the second row, second and third column; ROS by the first pixels.
    bayer = {
        "rggb": cv2.COLOR_BayerBG2RGB,
        "bggr": cv2.COLOR_BayerRG2RGB,
        "gbrg": cv2.COLOR_BayerGR2RGB,
        "grbg": cv2.COLOR_BayerGB2RGB,
    }
    layouts = {
        "rgb": (3, None),
        "bgr": (3, cv2.COLOR_BGR2RGB),
        "rgba": (4, cv2.COLOR_RGBA2RGB),
        "bgra": (4, cv2.COLOR_BGRA2RGB),
        "mono": (1, cv2.COLOR_GRAY2RGB),
        **{f"bayer_{pattern}": (1, code) for pattern, code in bayer.items()},
    }
    table = {
        f"{name}{bits}": _Encoding(channels, dtype, code)
        for name, (channels, code) in layouts.items()
        for bits, dtype in ((8, np.uint8), (16, np.uint16))
    }
    for name in ("yuv422", "uyvy"):
        table[name] = _Encoding(2, np.uint8, cv2.COLOR_YUV2RGB_UYVY)
    for name in ("yuv422_yuy2", "yuyv"):
        table[name] = _Encoding(2, np.uint8, cv2.COLOR_YUV2RGB_YUY2)
    return table


IMAGE_ENCODINGS = _make_encodings()
LABEL_ENCODINGS = {
    "mono8": _Encoding(1, np.uint8, None),
    "8UC1": _Encoding(1, np.uint8, None),
    "mono16": _Encoding(1, np.uint16, None),
    "16UC1": _Encoding(1, np.uint16, None),
}


def decode_image(message: Any) -> np.ndarray:
    """Return uint8 [H, W, 3] RGB from a sensor_msgs/Image or CompressedImage (JPEG, PNG); a copy of its own.

    16-bit channels are scaled by 255 / 65535. An EXIF orientation is not applied: pixels stay as the sensor
    has them. Raises MessageError for anything that cannot be decoded as a whole.
    """
    if _is_compressed(message):
        data, _ = _open_compressed(message, "image")
        return cv2.cvtColor(
            _imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), cv2.COLOR_BGR2RGB
        )
    encoding = _find_encoding(message, IMAGE_ENCODINGS, "image")
    pixels = _raw_pixels(message, encoding, "image")
    if encoding.channels == 2 and pixels.shape[1] % 2:
        raise MessageError(
            "bad size", f"image of encoding '{message.encoding}' must have an even width, got {message.width}"
        )
    return _to_rgb8(pixels, encoding)


def decode_labels(message: Any) -> np.ndarray:
    """Return the label image, uint8 or uint16 [H, W], from a one-channel Image or a PNG CompressedImage.

    Raises MessageError for what cannot hold labels exactly (JPEG, colour, palettes, less than 8 bits) or is
    broken.
    """
    if not _is_compressed(message):
        encoding = _find_encoding(message, LABEL_ENCODINGS, "label image")
        return np.array(_raw_pixels(message, encoding, "label image"))
    data, header = _open_compressed(message, "label image")
    if header.kind != "png":
        raise MessageError(
            "lossy labels", "label image must be PNG, got JPEG; its compression changes labels"
        )
    if not header.grey or header.bits not in (8, 16):
        colours = "grey" if header.grey else "colour"
        raise MessageError(
            "colour labels",
            f"label image must be a grey PNG of 8 or 16 bits, got {colours} of {header.bits} bits",
        )
    labels = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if labels.ndim != 2:
        raise MessageError("colour labels", f"label image must have one channel, got {labels.shape[2]}")
    return labels


def _is_compressed(message: Any) -> bool:
    """Tell the two message types apart by their fields; raise MessageError for any other type."""
    if hasattr(message, "encoding"):
        return False
    if hasattr(message, "format"):
        return True
    raise MessageError(
        "wrong type", f"image must be a sensor_msgs/Image or CompressedImage, got {type(message).__name__}"
    )


def _check_size(height: int, width: int, what: str) -> None:
    if height < 1 or width < 1:
        raise MessageError("zero size", f"{what} must not be empty, got height {height} and width {width}")
    if height * width > MOST_PIXELS:
        raise MessageError(
            "too large", f"{what} must have at most {MOST_PIXELS} pixels, got {height} x {width}"
        )
    if max(height, width) > LONGEST_SIDE:
        raise MessageError(
            "too large", f"{what} must have at most {LONGEST_SIDE} pixels a side, got {height} x {width}"
        )


def _find_encoding(message: Any, table: dict[str, _Encoding], what: str) -> _Encoding:
    found = table.get(message.encoding)
    if found is None:
        name = str(message.encoding)[:40]
        raise MessageError(
            "unknown encoding", f"{what} has the encoding '{name}'; supported: {', '.join(table)}"
        )
    return found


def _raw_pixels(message: Any, encoding: _Encoding, what: str) -> np.ndarray:
    """Return [H, W] or [H, W, channels] in the machine's byte order, without the rows' padding."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    _check_size(height, width, what)
    stored = np.dtype(encoding.dtype).newbyteorder(">" if message.is_bigendian else "<")
    row = width * encoding.channels * stored.itemsize
    if step < row:
        raise MessageError(
            "step too small",
            f"{what} of width {width} in '{message.encoding}' needs a step of {row} bytes, got {step}",
        )
    data = read_buffer(message.data, what)
    if len(data) != step * height:
        reason = "truncated" if len(data) < step * height else "length mismatch"
        raise MessageError(
            reason, f"{what} must have {step * height} bytes (step {step} x height {height}), got {len(data)}"
        )
    rows: np.ndarray = np.ascontiguousarray(data.reshape(height, step)[:, :row]).view(stored)
    pixels: np.ndarray = rows.astype(encoding.dtype, copy=False)
    return pixels if encoding.channels == 1 else pixels.reshape(height, width, encoding.channels)


def _to_rgb8(pixels: np.ndarray, encoding: _Encoding) -> np.ndarray:
    """Convert colours, then depth."""
    try:
        rgb = pixels if encoding.to_rgb is None else cv2.cvtColor(pixels, encoding.to_rgb)
    except cv2.error as error:
        raise MessageError("undecodable", f"image cannot be converted to RGB: {_first_line(error)}") from None
    if rgb.dtype == np.uint16:
        return cv2.convertScaleAbs(rgb, alpha=255 / 65535)
    return np.array(rgb)


def _open_compressed(message: Any, what: str) -> tuple[np.ndarray, ImageHeader]:
    """Return the bytes and the header of a compressed image whose claimed size is acceptable."""
    data = read_buffer(message.data, what)
    header = read_image_header(data.tobytes(), str(message.format))
    _check_size(header.height, header.width, what)
    return data, header


def _imdecode(data: np.ndarray, flags: int) -> np.ndarray:
    try:
        decoded = cv2.imdecode(np.ascontiguousarray(data), flags)
    except cv2.error as error:
        raise MessageError(
            "undecodable", f"compressed image cannot be decoded: {_first_line(error)}"
        ) from None
    if decoded is None:
        raise MessageError("undecodable", f"compressed image of {len(data)} bytes cannot be decoded")
    return decoded


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
