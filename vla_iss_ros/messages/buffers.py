# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read and fill the data fields of messages, whatever the class of the message takes."""

from __future__ import annotations

import array
from typing import Any

import numpy as np

from vla_iss_ros.messages.errors import MessageError

_TYPE_CODES = {np.dtype(np.uint8): "B", np.dtype(np.float32): "f"}


def read_buffer(data: Any, what: str) -> np.ndarray:
    """Return uint8 [n], a message's data field (array.array, bytes or ndarray), without a copy."""
    if isinstance(data, np.ndarray):
        if data.dtype != np.uint8 or data.ndim != 1:
            raise MessageError(
                "wrong type", f"{what}: data must be bytes, got {data.dtype} {list(data.shape)}"
            )
        return data
    try:
        view = memoryview(data).cast("B")
    except TypeError:
        raise MessageError("wrong type", f"{what}: data must be bytes, got {type(data).__name__}") from None
    return np.frombuffer(view, np.uint8) if view.nbytes else np.empty(0, np.uint8)


def fill_buffer(message_type: Any, values: np.ndarray) -> Any:
    """Return ``values`` (uint8 or float32) flat, as the data field of ``message_type`` takes them.

    rosbags' classes are dataclasses and serialise ndarrays. rclpy copies an array.array at once, but checks
    an ndarray element by element in Python (a hundred times slower).
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    if hasattr(message_type, "__dataclass_fields__"):
        return flat
    filled = array.array(_TYPE_CODES[flat.dtype])
    filled.frombytes(flat.tobytes())
    return filled
