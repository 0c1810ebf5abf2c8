# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A LeRobot data set where a command takes a bag: the options for topics name features."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from vla_iss_ros.bags.lerobot_layout import read_layout
from vla_iss_ros.bags.lerobot_source import LeRobotSource, check_features, features_in_words, guess_features
from vla_iss_ros.cli.bag_topics import image_topics

# Options of bags that a data set has no use for.
OF_BAGS = ("instruction_topic", "episode_topic")


def dataset_source(
    path: Path,
    name: str,
    options: argparse.Namespace,
    cameras: Sequence[str],
    state_names: Sequence[str],
    say: Callable[[str], object],
    *,
    state_unit: str = "rad",
    instruction: str = "",
    state: bool = True,
) -> LeRobotSource:
    """Return the source of a data set; ``say`` hears which features are used.

    ``options``: --image CAMERA=FEATURE and --state-topic FEATURE win over what the features' names tell. ``state``:
    whether one is read at all. Raises BagError when it cannot be read or lacks a feature, ValueError for an option that
    only bags have.
    """
    for option in OF_BAGS:
        if getattr(options, option, None):
            raise ValueError(
                f"--{option.replace('_', '-')} {getattr(options, option)}: the data set '{path}' has no topics; "
                "its tasks are the instructions, its episodes the episodes"
            )
    layout = read_layout(path)
    images = dict(image_topics(options.image)) if options.image else {}
    guessed, named = guess_features(layout, [] if images else cameras, state_names)
    missing = [camera for camera in cameras if camera not in (images or guessed)]
    if missing:
        raise ValueError(
            f"--image names no feature of camera '{missing[0]}'; the cameras are {', '.join(cameras)}"
        )
    given = getattr(options, "state_topic", None)
    named = (named if given is None else given) if state else ""
    images = images or guessed
    images = {camera: images[camera] for camera in cameras}
    check_features(layout, images, named, state_names)
    source = LeRobotSource(
        name, path, tuple(images.items()), named, tuple(state_names), state_unit, instruction
    )
    say(f"{path}: {', '.join(features_in_words(source, layout))}")
    return source
