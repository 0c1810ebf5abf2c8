# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a JPEG or PNG says of itself, read without decoding it.

A few bytes can claim an image of gigabytes, and decoders fill what a cut file lacks: both are refused on the
header and the end mark, before a decoder allocates anything.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vla_iss_ros.messages.errors import MessageError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
_START_OF_SCAN = 0xDA
# Frame headers are C0 to CF, except for DHT (C4), JPG (C8) and DAC (CC), which share the range (ITU-T T.81,
# table B.1).
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True)
class ImageHeader:
    """``kind`` "jpeg" or "png"; size in pixels; ``bits`` a channel; ``grey``: no colour, palette or alpha."""

    kind: str
    height: int
    width: int
    bits: int
    grey: bool


def read_image_header(data: bytes, format_name: str = "") -> ImageHeader:
    """Return the header of a whole JPEG or PNG; ``format_name`` is only quoted in errors.

    Raises MessageError when the data is neither, or is cut short.
    """
    if data.startswith(PNG_SIGNATURE):
        return _read_png(data)
    if data.startswith(JPEG_SIGNATURE):
        return _read_jpeg(data)
    raise MessageError(
        "wrong format",
        f"compressed image must be JPEG or PNG, got {len(data)} bytes that begin with "
        f"{data[:8].hex(' ') or 'nothing'} (format '{format_name[:60]}')",
    )


def _read_png(data: bytes) -> ImageHeader:
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise MessageError("truncated", f"PNG of {len(data)} bytes has no whole header")
    if data.find(_PNG_END, 33) < 0:
        raise MessageError("truncated", f"PNG of {len(data)} bytes is truncated: it has no end mark")
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    return ImageHeader("png", height, width, bits, grey=colour == 0)


def _read_jpeg(data: bytes) -> ImageHeader:
    header = None
    for marker, start, length in _jpeg_segments(data):
        if marker in _FRAME_MARKERS and header is None and length >= 8:
            bits, height, width, channels = struct.unpack(">BHHB", data[start + 2 : start + 8])
            header = ImageHeader("jpeg", height, width, bits, grey=channels == 1)
        if marker == _START_OF_SCAN and header is not None and data.find(_JPEG_END, start + length) >= 0:
            return header
    raise MessageError(
        "truncated",
        f"JPEG of {len(data)} bytes is truncated: it has no {'end mark' if header else 'frame header'}",
    )


def _jpeg_segments(data: bytes) -> list[tuple[int, int, int]]:
    """List (marker, offset of its length field, length) up to the first scan, as far as the data goes."""
    segments = []
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _BARE_MARKERS:
            position += 2
            continue
        (length,) = struct.unpack(">H", data[position + 2 : position + 4])
        if length < 2 or position + 2 + length > len(data):
            break
        segments.append((marker, position + 2, length))
        if marker == _START_OF_SCAN:
            break
        position += 2 + length
    return segments
