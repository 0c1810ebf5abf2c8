# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Random and mutated messages of the four kinds that a robot sends, each with the verdict that it deserves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header, String

from vla_iss_ros.messages.encoding import encode_compressed_image, encode_image
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.images import IMAGE_ENCODINGS, decode_image
from vla_iss_ros.messages.instructions import instruction_from_string
from vla_iss_ros.messages.joint_states import state_from_joint_state
from vla_iss_ros.messages.stamps import nanoseconds_from_stamp, stamp_from_nanoseconds

KINDS = ("image", "compressed", "joint_states", "instruction")
NAMES = ("hand_x", "hand_y", "hand_z", "gripper")
SIDES = (1, 2, 3, 17, 24, 33, 64)
COUNTS = (0, 1, 2, 7, 255, 4096, 2**16, 2**31, 2**32 - 1)
TEXTS = (
    "",
    "rgb8",
    "RGB8",
    "rgb8\n",
    "8UC3",
    "32FC1",
    "nv21",
    "\u4e2d\u6587",
    "%s%n",
    "../..",
    "\x07",
    "a" * 5000,
)

Rng = np.random.Generator


def make(kind: str, rng: Rng, stamp: int) -> tuple[Any, bool]:
    """Return a message of ``kind`` and whether its header has still ``stamp``; half of them are mutated."""
    message = _GOOD[kind](rng, header_of(stamp))
    if rng.random() < 0.5:
        return message, True
    if kind != "instruction" and rng.random() < 0.15:
        # Alone: a message of another time belongs to no frame, so that nobody looks at what else is wrong.
        message.header.stamp = Time(
            sec=int(rng.integers(-(2**31), 2**31)), nanosec=int(rng.integers(0, 2**32))
        )
        return message, False
    for _ in range(rng.integers(1, 4)):
        _MUTATE[kind](rng, message)
    return message, True


def header_of(stamp: int) -> Header:
    """Return a header with ``stamp`` in ns."""
    return Header(stamp=stamp_from_nanoseconds(stamp, Time), frame_id="camera")


def is_bad(kind: str, message: Any) -> bool:
    """Tell whether the node must count ``message`` as bad."""
    read: dict[str, Callable[[Any], Any]] = {
        "image": decode_image,
        "compressed": decode_image,
        "joint_states": lambda each: state_from_joint_state(each, NAMES),
        "instruction": instruction_from_string,
    }
    try:
        if kind != "instruction":
            nanoseconds_from_stamp(message.header.stamp)
        if kind == "joint_states" and set(NAMES).isdisjoint(message.name):
            return False  # other joints' states are left out: several publishers may share the topic
        read[kind](message)
    except MessageError:
        return True
    return False


def good_image(rng: Rng, header: Header) -> Image:
    """Return a raw image of any encoding and an even width, with padded rows now and then."""
    encoding = str(rng.choice(list(IMAGE_ENCODINGS)))
    layout = IMAGE_ENCODINGS[encoding]
    height, width = 2 * int(rng.choice(SIDES)), 2 * int(rng.choice(SIDES))
    step = width * layout.channels * np.dtype(layout.dtype).itemsize + 2 * int(rng.integers(0, 3))
    data = rng.bytes(step * height)
    return Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        step=step,
        is_bigendian=int(rng.integers(0, 2)),
        data=data,
    )


def good_compressed(rng: Rng, header: Header) -> CompressedImage:
    """Return a JPEG or a PNG."""
    pixels = rng.integers(0, 256, (int(rng.choice(SIDES)), int(rng.choice(SIDES)), 3), np.uint8)
    return encode_compressed_image(pixels, header, CompressedImage, str(rng.choice(["jpeg", "png"])))


def good_joint_state(rng: Rng, header: Header) -> JointState:
    """Return the state in any order, with a joint more now and then."""
    names = [*NAMES, *(["wheel"] if rng.random() < 0.3 else [])]
    rng.shuffle(names)
    return JointState(header=header, name=names, position=rng.normal(size=len(names)).tolist())


def good_instruction(rng: Rng, header: Header) -> String:
    """Return an instruction of a few words."""
    return String(
        data=" ".join(rng.choice(["press", "the", "button", "\u00f6ffne", "\n", ""], rng.integers(1, 9)))
    )


def plain_frame(stamp: int) -> tuple[Image, CompressedImage, JointState]:
    """Return one good message for each camera and the state."""
    pixels = np.full((24, 32, 3), 128, np.uint8)
    cv2.circle(pixels, (12, 12), 8, (200, 30, 30), -1)
    header = header_of(stamp)
    return (
        encode_image(pixels, header, Image, "rgb8"),
        encode_compressed_image(pixels, header, CompressedImage),
        JointState(header=header, name=list(NAMES), position=[0.1, 0.2, 0.3, 0.4]),
    )


def _mutate_image(rng: Rng, message: Image) -> None:
    place = rng.integers(0, 7)
    if place < 3:
        setattr(message, ("height", "width", "step")[place], int(rng.choice(COUNTS)))
    elif place == 3:
        message.encoding = str(rng.choice(TEXTS))
    elif place == 4:
        message.data = message.data[: int(rng.integers(0, len(message.data) + 1))]
    elif place == 5:
        message.data = bytes(message.data) + rng.bytes(int(rng.integers(1, 64)))
    else:
        message.is_bigendian = int(rng.integers(0, 256))


def _mutate_compressed(rng: Rng, message: CompressedImage) -> None:
    data = bytearray(message.data)
    place = rng.integers(0, 5)
    if place == 0:
        for where in rng.integers(0, max(1, len(data)), rng.integers(1, 20)):
            if data:
                data[int(where)] ^= 1 << int(rng.integers(0, 8))
    elif place == 1:
        data = data[: int(rng.integers(0, len(data) + 1))]
    elif place == 2:
        data = bytearray(rng.bytes(int(rng.integers(0, 2000))))
    elif place == 3:  # a claim of a giant picture, where a PNG has its size and a JPEG often has its own
        data[16:24] = int(rng.choice(COUNTS)).to_bytes(4, "big") * 2
    else:
        message.format = str(rng.choice(TEXTS))
    message.data = bytes(data)


def _mutate_joint_state(rng: Rng, message: JointState) -> None:
    place = rng.integers(0, 5)
    if place == 0:
        message.name = message.name[: int(rng.integers(0, len(message.name) + 1))]
    elif place == 1:
        message.position = message.position[: int(rng.integers(0, len(message.position) + 1))]
    elif place == 2 and len(message.position):
        message.position[int(rng.integers(0, len(message.position)))] = float(
            rng.choice([np.nan, np.inf, -np.inf, 1e300, -0.0, 1e-310])
        )
    elif place == 3:
        message.name = [*message.name, str(rng.choice([*NAMES, *TEXTS]))]
    else:
        message.name = [f"joint_{index}" for index in range(int(rng.choice([0, 1, 4, 2000])))]


def _mutate_instruction(rng: Rng, message: String) -> None:
    alphabet = ["a", " ", "\t", "\x01", "\x1b", "\u202e", "\U0001f916", "\u0301", "\ufeff", "\x7f"]
    message.data = message.data + "".join(rng.choice(alphabet, int(rng.choice([0, 1, 8, 100, 5000]))))


_GOOD: dict[str, Callable[[Rng, Header], Any]] = {
    "image": good_image,
    "compressed": good_compressed,
    "joint_states": good_joint_state,
    "instruction": good_instruction,
}
_MUTATE: dict[str, Callable[[Rng, Any], None]] = {
    "image": _mutate_image,
    "compressed": _mutate_compressed,
    "joint_states": _mutate_joint_state,
    "instruction": _mutate_instruction,
}
