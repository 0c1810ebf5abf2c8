# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A tiny bag with two episodes, as the sample bag has them."""

import json

import cv2
import numpy as np
from harness import CAMERAS, SECOND, SIZE, STATE_NAMES

from vla_iss_ros.bags.writer import BagWriter
from vla_iss_ros.messages.encoding import encode_compressed_image
from vla_iss_ros.messages.stamps import stamp_from_nanoseconds

START = 1_700_000_000 * SECOND
STEP = SECOND // 20
FRAMES = 4
EPISODES = (START, START + SECOND)


def stamps(episode):
    return [EPISODES[episode] + index * STEP for index in range(FRAMES)]


def write_bag(path):
    """Write the bag and return its path."""
    with BagWriter(path) as writer:
        types = writer.typestore.types
        header = types["std_msgs/msg/Header"]
        time = types["builtin_interfaces/msg/Time"]
        image = types["sensor_msgs/msg/CompressedImage"]
        string = types["std_msgs/msg/String"]
        joints = types["sensor_msgs/msg/JointState"]

        def stamped(stamp, frame):
            return header(stamp=stamp_from_nanoseconds(stamp, time), frame_id=frame)

        for episode in range(len(EPISODES)):
            start = EPISODES[episode]
            writer.write("/episode", string(data=json.dumps({"index": episode})), start)
            writer.write("/instruction", string(data="press the button"), start)
            for stamp in stamps(episode):
                rng = np.random.default_rng(stamp)
                state = joints(
                    header=stamped(stamp, "hand"),
                    name=list(STATE_NAMES),
                    position=rng.normal(size=4),
                    velocity=np.empty(0),
                    effort=np.empty(0),
                )
                writer.write("/end_effector_state", state, stamp)
                for camera in CAMERAS:
                    labels = np.zeros(SIZE, np.uint8)
                    cv2.circle(labels, (12, 12), 8, 1, -1)
                    message = encode_compressed_image(
                        labels, stamped(stamp, f"{camera}_camera"), image, "png"
                    )
                    writer.write(f"/{camera}/regions", message, stamp)
                    pixels = rng.integers(0, 256, (*SIZE, 3), np.uint8)
                    message = encode_compressed_image(pixels, stamped(stamp, f"{camera}_camera"), image)
                    writer.write(f"/{camera}/image/compressed", message, stamp)
    return path


REMAPPINGS = [
    argument
    for source, target in [
        *((f"~/input/{camera}/image", f"/{camera}/image/compressed") for camera in CAMERAS),
        *((f"~/input/{camera}/regions", f"/{camera}/regions") for camera in CAMERAS),
        ("~/input/instruction", "/instruction"),
        ("~/input/joint_states", "/end_effector_state"),
    ]
    for argument in ("-r", f"{source}:={target}")
]
