# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What goes over an openpi websocket: msgpack with NumPy arrays, as the package openpi-client writes them.

Nothing on the wire can name code: an array is its bytes, a numeric dtype and a shape, and all three must agree.
Imports neither torch nor ROS, so that the server's side runs in openpi's own environment.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vla_iss_ros.policies.errors import PolicyError

# Reserved keys of a request, and the key of the server's metadata that says what it understands.
BATCH, NOISE, ABILITIES = "__batch__", "__noise__", "__vla_iss_ros__"
LARGEST_MESSAGE = 512 * 2**20
KINDS = "biuf"
MISSING = "openpi needs websockets and msgpack; install them with: pip install vla_iss_ros[openpi]"


def pack(value: Any) -> bytes:
    """Return ``value`` as msgpack; raises PolicyError without the package, ValueError for what has no such form."""
    packed: bytes = _msgpack().packb(value, default=_pack_array)
    return packed


def unpack(content: bytes) -> Any:
    """Return what ``pack`` was given; raises ValueError in one line for anything else, PolicyError without msgpack."""
    msgpack = _msgpack()
    try:
        return msgpack.unpackb(content, object_hook=_unpack_array, strict_map_key=False)
    except Exception as error:  # msgpack's errors have no class of their own in common
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"a message of {len(content)} bytes is not msgpack with arrays: {reason}") from error


def _msgpack() -> Any:
    try:
        import msgpack
    except ImportError as error:
        raise PolicyError(MISSING) from error
    return msgpack


def _pack_array(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in KINDS:
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }
    if isinstance(value, np.generic) and value.dtype.kind in KINDS:
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise ValueError(f"cannot send a value of type {type(value).__name__}")


def _unpack_array(value: dict[Any, Any]) -> Any:
    if b"__ndarray__" in value:
        dtype, shape, data = _dtype(value[b"dtype"]), value[b"shape"], value[b"data"]
        if any(not isinstance(side, int) or side < 0 for side in shape):
            raise ValueError(f"an array's shape must be whole numbers, got {shape}")
        if math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError(f"an array {list(shape)} of {dtype} has {len(data)} bytes")
        # A copy: the message's own memory is read-only, and openpi's transforms write into arrays.
        return np.frombuffer(data, dtype).reshape(shape).copy()
    if b"__npgeneric__" in value:
        return _dtype(value[b"dtype"]).type(value[b"data"])
    return value


def _dtype(name: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(name)) if isinstance(name, str) and len(name) < 8 else None
    if dtype is None or dtype.kind not in KINDS or dtype.hasobject:
        raise ValueError(f"an array's dtype must be a plain number's, got {str(name)[:40]!r}")
    return dtype
