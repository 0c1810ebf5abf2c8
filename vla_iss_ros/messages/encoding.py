# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fill image messages; the message's class is passed in, so rclpy's and rosbags' serve alike."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from vla_iss_ros.messages.buffers import fill_buffer

_LAYOUTS = {"rgb8": (np.uint8, 3), "mono8": (np.uint8, 2), "mono16": (np.uint16, 2), "32FC1": (np.float32, 2)}


def encode_image(pixels: np.ndarray, header: Any, message_type: Any, encoding: str) -> Any:
    """Return ``pixels`` as a sensor_msgs/Image with ``header`` as it is, without row padding, little endian.

    ``encoding``: rgb8 (uint8 [H, W, 3]), mono8 (uint8 [H, W]), mono16 (uint16 [H, W]) or 32FC1 (float32 [H,
    W]). Raises ValueError when the array is not of the encoding's type and shape.
    """
    if encoding not in _LAYOUTS:
        raise ValueError(f"encoding must be one of {', '.join(_LAYOUTS)}, got '{encoding}'")
    _check(pixels, encoding)
    stored = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return message_type(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=stored.nbytes // pixels.shape[0],
        data=fill_buffer(message_type, stored.reshape(-1).view(np.uint8)),
    )


def encode_compressed_image(
    pixels: np.ndarray, header: Any, message_type: Any, format_name: str = "jpeg", quality: int = 90
) -> Any:
    """Return ``pixels`` (rgb8 or mono8; mono16 as PNG only) as a sensor_msgs/CompressedImage.

    ``format_name``: "jpeg" (with ``quality`` in [1, 100]) or "png". Raises ValueError for anything else.
    """
    if format_name not in ("jpeg", "png"):
        raise ValueError(f"format must be jpeg or png, got '{format_name}'")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be in [1, 100], got {quality}")
    encoding = "rgb8" if pixels.ndim == 3 else "mono16" if pixels.dtype == np.uint16 else "mono8"
    _check(pixels, encoding)
    if encoding == "mono16" and format_name == "jpeg":
        raise ValueError("jpeg holds 8 bits, got uint16; use png")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if format_name == "jpeg" else []
    stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else np.ascontiguousarray(pixels)
    _, data = cv2.imencode(f".{format_name}", stored, options)
    return message_type(header=header, format=format_name, data=fill_buffer(message_type, data))


def _check(pixels: np.ndarray, encoding: str) -> None:
    dtype, dimensions = _LAYOUTS[encoding]
    channels_fit = dimensions == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != dtype or pixels.ndim != dimensions or not channels_fit or pixels.size == 0:
        wanted = "[H, W, 3]" if dimensions == 3 else "[H, W]"
        raise ValueError(
            f"{encoding} needs {np.dtype(dtype).name} {wanted}, not empty, "
            f"got {pixels.dtype} {list(pixels.shape)}"
        )
