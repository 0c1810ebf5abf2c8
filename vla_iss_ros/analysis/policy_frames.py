# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Observations to check a policy on: frames of a bag, or made up."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.loading import shipped_samples
from vla_iss_ros.policies.protocol import Policy

COUNT = 8
INSTRUCTIONS = ("pick up the object", "open the drawer")
# Sizes (h, w) that cameras have: a policy that letterboxes takes only proportions that it was made for.
CAMERA_SIZES = ((480, 640), (720, 1280), (480, 480), (240, 424))


def frames_of_bag(
    bag: Path, topics: BagTopics, problems: Counter[str] | None = None, count: int = COUNT, **reading: Any
) -> list[Observation]:
    """Return up to ``count`` observations spread over the bag.

    ``reading``: state_names, state_unit and instruction of ``iterate_observations``. Raises BagError when the bag
    cannot be read or has no usable frame; ``problems`` counts frames that were left out.
    """
    kept: list[Observation] = []
    step = 1
    with Bag(bag) as source:
        for number, item in enumerate(iterate_observations(source, topics, problems, **reading)):
            if number % step:
                continue
            kept.append(item.observation)
            if len(kept) >= 2 * count:  # images are large, and a bag may be long
                kept, step = kept[::2], step * 2
    if not kept:
        raise BagError(f"bag '{bag}' has no frame with readable images of {', '.join(topics.images)}")
    return kept[:: math.ceil(len(kept) / count)]


def sample_frames(policy: Policy) -> list[Observation]:
    """Return frames of the sample bag, or none where it is not installed or ``policy`` does not take them."""
    try:
        frames = frames_of_bag(shipped_samples() / "metaworld", BagTopics())
        policy.preprocess(frames[0])
    except ValueError:  # BagError and PolicyError among them
        return []
    return frames


def synthetic_frames(policy: Policy, count: int = COUNT, seed: int = 0) -> list[Observation]:
    """Return ``count`` observations of coloured clouds, in the first size that the policy takes.

    Raises ValueError, the policy's own, when it takes none.
    """
    refusal: ValueError | None = None
    inputs = [camera.input_size for camera in policy.spec.cameras]
    for size in (*CAMERA_SIZES, (4 * inputs[0][0], 4 * inputs[0][1]), inputs[0]):
        frames = _clouds(policy, size, count, np.random.default_rng(seed))
        try:
            policy.preprocess(frames[0])
            return frames
        except ValueError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _clouds(policy: Policy, size: tuple[int, int], count: int, rng: np.random.Generator) -> list[Observation]:
    spec = policy.spec
    frames = []
    for index in range(count):
        images = {}
        for camera in spec.camera_names:
            coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            images[camera] = np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR))
        state = None
        if spec.state_names:
            mean = spec.state_mean or (0.0,) * len(spec.state_names)
            state = np.asarray(mean + rng.normal(0, 0.1, len(mean)), np.float32)
        text = INSTRUCTIONS[index % len(INSTRUCTIONS)]
        frames.append(Observation(images, text, state, index))
    return frames
