# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are the cameras, their labels, the instruction and the state, from types and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.reader import Bag, Topic

IMAGES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
JOINTS = "sensor_msgs/msg/JointState"
TEXT = "std_msgs/msg/String"
# Words in topic names that are no camera's picture.
NOT_PICTURES = ("depth", "label", "mask", "overlay", "region", "saliency", "segmentation", "stderr", "theora")
LABELS = ("region", "label", "segmentation", "mask")


def guess_topics(bag: Bag, cameras: Sequence[str], state_names: Sequence[str]) -> BagTopics:
    """Return the topics of ``cameras`` and the rest that the bag most likely has, by message types and names.

    A camera's topic has its name in it; where none has and there is one image topic a camera, they are taken in the
    order of their names. The state is the JointState that holds ``state_names``. Raises BagError, listing the image
    topics, when a camera cannot be told.
    """
    present = {name: topic for name, topic in bag.topics.items() if topic.message_count}
    images = _images(present, cameras, bag)
    return BagTopics(
        images,
        guess_labels(bag, cameras),
        _state(bag, present, state_names),
        _text(present, "instruction", ("task", "language", "prompt", "command")),
        _text(present, "episode", ()),
    )


def guess_labels(bag: Bag, cameras: Sequence[str]) -> dict[str, str]:
    """Return the label topics of those ``cameras`` that have one, by types and names."""
    present = {name: topic for name, topic in bag.topics.items() if topic.message_count}
    labels = {camera: _labels(present, camera) for camera in cameras}
    return {camera: topic for camera, topic in labels.items() if topic}


def check_topics(bag: Bag, topics: BagTopics, *, images: bool = False) -> None:
    """Raise ValueError, listing the bag's topics, for one that it does not have; ``images``: look at cameras' too."""
    named = [(kind, f"--{kind}-topic", getattr(topics, kind)) for kind in ("state", "instruction", "episode")]
    named += [(f"labels of {camera}", "--regions", topic) for camera, topic in topics.labels.items()]
    if images:
        named += [(f"images of {camera}", "--image", topic) for camera, topic in topics.images.items()]
    for what, option, topic in named:
        if topic and topic not in bag.topics:
            raise ValueError(
                f"bag '{bag.path}' has no topic '{topic}' ({what}); see {option}; "
                f"its topics: {', '.join(bag.topics) or 'none'}"
            )


def topics_in_words(topics: BagTopics) -> list[str]:
    """Return one line a topic, for people."""
    lines = [f"camera {camera}: {topic}" for camera, topic in topics.images.items()]
    lines += [f"labels of {camera}: {topic}" for camera, topic in topics.labels.items() if topic]
    lines.append(f"state: {topics.state or 'none'}")
    lines.append(f"instruction: {topics.instruction or 'none'}")
    lines.append(f"episode markers: {topics.episode or 'none; a pause starts an episode'}")
    return lines


def _images(present: Mapping[str, Topic], cameras: Sequence[str], bag: Bag) -> dict[str, str]:
    pictures = sorted(
        name
        for name, topic in present.items()
        if topic.type_name in IMAGES and not any(word in name.lower() for word in NOT_PICTURES)
    )
    found = {camera: _named(pictures, camera, present) for camera in cameras}
    if all(found.values()) and len(set(found.values())) == len(cameras):
        return found
    if len(pictures) == len(cameras) and not any(found.values()):
        return dict(zip(cameras, pictures, strict=True))
    missing = [camera for camera in cameras if not found[camera]] or list(cameras)
    raise BagError(
        f"cannot tell the image topic of camera '{missing[0]}' in bag '{bag.path}'; its image topics: "
        f"{', '.join(pictures) or 'none'}; name them with --image CAMERA=TOPIC"
    )


def _named(names: Sequence[str], camera: str, present: Mapping[str, Topic]) -> str:
    """Return the topic with the camera's name in it; compressed before raw, then the shortest name."""
    named = [name for name in names if camera.lower() in name.lower()]
    return min(named, key=lambda name: (IMAGES.index(present[name].type_name), len(name)), default="")


def _labels(present: Mapping[str, Topic], camera: str) -> str:
    named = [
        name
        for name, topic in present.items()
        if topic.type_name in IMAGES
        and camera.lower() in name.lower()
        and any(word in name.lower() for word in LABELS)
        # What iss_node publishes of regions is a picture for people.
        and "/output/" not in name
    ]
    return min(named, key=len, default="")


def _state(bag: Bag, present: Mapping[str, Topic], state_names: Sequence[str]) -> str:
    for name in sorted(present):
        if present[name].type_name == JOINTS:
            first = next(iter(bag.messages([name])), None)
            if first is not None and set(state_names) <= set(first.message.name):
                return name
    return ""


def _text(present: Mapping[str, Topic], word: str, others: Sequence[str]) -> str:
    texts = [name for name, topic in present.items() if topic.type_name == TEXT]
    for wanted in (word, *others):
        named = [name for name in texts if wanted in name.lower()]
        if named:
            return min(named, key=len)
    return ""
