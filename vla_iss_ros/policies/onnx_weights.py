# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether an ONNX file keeps weights outside of itself, read from its protobuf without the package onnx.

An entry of external data names a file anywhere on the computer, or for onnxruntime even an address in memory. A search
for words would miss entries that are written in an unusual way and find names that only look like one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

# Of onnx.proto: which fields of which message hold messages in which tensors may lie.
MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
EXTERNAL_DATA, DATA_LOCATION, EXTERNAL = 13, 14, 1
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST_VARINT = 10


def has_outside_weights(content: bytes) -> bool:
    """Tell whether any tensor of an ONNX model has external data; raises ValueError for what is no protobuf."""
    waiting = [("model", memoryview(content))]
    while waiting:
        kind, message = waiting.pop()
        for field, value in _fields(message):
            if kind == "tensor" and (field == EXTERNAL_DATA or (field, value) == (DATA_LOCATION, EXTERNAL)):
                return True
            inner = MESSAGES[kind].get(field)
            if inner is not None and isinstance(value, memoryview):
                waiting.append((inner, value))
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and value of each field: a whole number, or bytes that are not copied."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind, value = key & 7, 0
        if kind == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == BYTES:
            size, at = _varint(message, at)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"protobuf has wire type {kind} at byte {at}")
        if size > len(message) - at:
            raise ValueError(f"protobuf ends within a field of {size} bytes")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(LONGEST_VARINT):
        if at + index >= len(message):
            raise ValueError("protobuf ends within a number")
        byte = message[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError(f"protobuf has a number of over {LONGEST_VARINT} bytes at byte {at}")
