# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small bags like the samples, made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from message_factory import String, compressed, joint_state

from vla_iss_ros.bags.writer import BagWriter

SECOND = 10**9
STEP = SECOND // 10
START = 1000 * SECOND
CAMERAS = ("front", "wrist")
NAMES = ["hand_x", "hand_y", "hand_z", "gripper"]


def colour(episode: int, index: int) -> tuple[int, int, int]:
    """RGB that tells which frame this is, far enough apart for JPEG."""
    return 40 + 60 * episode, 40 + 20 * index, 128


def picture(episode: int, index: int) -> np.ndarray:
    return np.full((16, 24, 3), colour(episode, index), np.uint8)


def jpeg(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def label_png() -> bytes:
    labels = np.zeros((16, 24), np.uint8)
    labels[:4], labels[4:8], labels[8:10] = 1, 2, 3
    return cv2.imencode(".png", labels)[1].tobytes()


def frame_messages(episode: int, index: int, stamp: int, cameras=CAMERAS):
    """All messages of one instant, as (topic, message)."""
    for camera in cameras:
        yield f"/{camera}/image/compressed", compressed(jpeg(picture(episode, index)), "jpeg", stamp)
        yield f"/{camera}/regions", compressed(label_png(), "png", stamp)
    yield "/end_effector_state", joint_state(NAMES, [episode, index, 0.5, 1.0], stamp)


def sample_messages(lengths=(5, 4, 3), *, markers: bool = True, cameras=CAMERAS):
    """Episodes on the samples' topics with pauses of 2 s, as (topic, message, stamp)."""
    stamp = START
    for episode, length in enumerate(lengths):
        if markers:
            yield "/episode", String(json.dumps({"index": episode, "task": f"task {episode}"})), stamp
        yield "/instruction", String(f"do task {episode}"), stamp
        for index in range(length):
            for topic, message in frame_messages(episode, index, stamp, cameras):
                yield topic, message, stamp
            stamp += STEP
        stamp += 2 * SECOND


def write_bag(path: Path, messages) -> Path:
    with BagWriter(path) as writer:
        for topic, message, stamp in messages:
            writer.write(topic, message, stamp)
    return path
