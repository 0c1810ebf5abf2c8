# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Observations and label images from a bag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from vla_iss_ros.bags.frames import BagTopics, Frame, iterate_frames
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.images import decode_image, decode_labels
from vla_iss_ros.messages.joint_states import state_from_joint_state
from vla_iss_ros.settings import BY_NAME


class BagObservation(NamedTuple):
    """``labels``: camera name to uint8 or uint16 [H, W], where there are any. ``episode`` counts from 0."""

    observation: Observation
    labels: dict[str, np.ndarray]
    episode: int


def iterate_observations(
    bag: Bag,
    topics: BagTopics | None = None,
    problems: Counter[str] | None = None,
    *,
    state_names: Sequence[str] = tuple(BY_NAME["state_names"].default),
    state_unit: str = BY_NAME["state_unit"].default,
    instruction: str = "",
    slop: float = BY_NAME["sync_slop"].default,
    gap: float = 1.0,
    stride: int = 1,
    episodes: Collection[int] | None = None,
) -> Iterator[BagObservation]:
    """Yield the bag's observations in order, every ``stride``-th frame of each of ``episodes`` (None: all).

    ``instruction`` stands in until the bag has one. Nothing bad in the bag raises but damage of the file
    itself: frames without a readable image of every camera, or with a bad state, are left out, bad label
    images are left out of their frame, and ``problems`` counts each by reason. See ``iterate_frames`` for
    slop, gap and what it raises; ValueError for a stride below 1.
    """
    if stride < 1:
        raise ValueError(f"stride must be at least 1, got {stride}")
    topics = topics or BagTopics()
    problems = Counter() if problems is None else problems
    for frame in iterate_frames(bag, topics, problems, slop, gap):
        if frame.index % stride or (episodes is not None and frame.episode not in episodes):
            continue
        observation = observe(frame, state_names, state_unit, instruction, problems)
        if observation is not None:
            yield BagObservation(observation, decode_all_labels(frame, problems), frame.episode)


def observe(
    frame: Frame, state_names: Sequence[str], state_unit: str, instruction: str, problems: Counter[str]
) -> Observation | None:
    """Return a frame's observation, or None after counting in ``problems`` why there is none."""
    images = {}
    for camera, message in frame.images.items():
        image = _attempt(problems, f"image of {camera}", decode_image, message)
        if image is None:
            return None
        images[camera] = image
    state = None
    if frame.state is not None:
        state = _attempt(problems, "state", state_from_joint_state, frame.state, state_names, state_unit)
        if state is None:
            return None
    text = frame.instruction or instruction
    if not text:
        problems["instruction: none"] += 1
    return Observation(images, text, state, frame.stamp)


def decode_all_labels(frame: Frame, problems: Counter[str]) -> dict[str, np.ndarray]:
    """Return the label images of a frame that can be read; count the others in ``problems``."""
    labels = {}
    for camera, message in frame.labels.items():
        image = _attempt(problems, f"labels of {camera}", decode_labels, message)
        if image is not None:
            labels[camera] = image
    return labels


def _attempt(problems: Counter[str], what: str, decode: Callable[..., Any], *arguments: Any) -> Any | None:
    """Return what ``decode`` returns, or None after counting why it could not."""
    try:
        return decode(*arguments)
    except MessageError as error:
        problems[f"{what}: {error.reason}"] += 1
    except AttributeError:  # a topic of another type than its name promises
        problems[f"{what}: wrong type"] += 1
    return None
