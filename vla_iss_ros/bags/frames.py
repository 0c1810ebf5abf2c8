# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Sets of messages that belong to one instant of a bag, not yet decoded."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vla_iss_ros.bags.episodes import episode_at, find_episodes
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.reader import Bag, Stretch
from vla_iss_ros.bags.source import Segment
from vla_iss_ros.bags.stand_ins import LastImages
from vla_iss_ros.bags.synchronising import PATIENCE, Stamped, Stream, synchronise
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.instructions import instruction_from_string
from vla_iss_ros.messages.stamps import SECOND, nanoseconds_from_stamp
from vla_iss_ros.settings import BY_NAME

_CAMERAS = tuple(BY_NAME["cameras"].default)
# A state older than this says nothing about the picture; the nodes take the same.
STATE_TOLERANCE = 1.0
REPEATED = "frame: its newest image is that of the frame before"


@dataclass(frozen=True)
class BagTopics:
    """Topics of a bag; an empty name means that there is none. Defaults are those of the samples.

    ``images`` and ``labels``: camera name to topic. The first camera sets the instants. ``state``: the
    JointState that holds the policy's state. ``episode``: the markers of ``find_episodes``.
    """

    images: Mapping[str, str] = field(
        default_factory=lambda: {name: f"/{name}/image/compressed" for name in _CAMERAS}
    )
    labels: Mapping[str, str] = field(default_factory=lambda: {name: f"/{name}/regions" for name in _CAMERAS})
    state: str = "/end_effector_state"
    instruction: str = "/instruction"
    episode: str = "/episode"


@dataclass(frozen=True)
class Frame:
    """Messages of one instant. ``stamp``: of the first camera's image, ns. ``index``: within the episode.

    ``stood_in``: cameras that are missing, whose last image stands in; ``stamp`` is then of the first one that is not.
    """

    episode: int
    index: int
    stamp: int
    images: Mapping[str, Any]
    labels: Mapping[str, Any]
    state: Any | None
    instruction: str
    stood_in: frozenset[str] = frozenset()


def iterate_frames(
    bag: Bag, topics: BagTopics, problems: Counter[str], slop: float = 0.05, gap: float = 1.0
) -> Iterator[Frame]:
    """Yield the bag's frames in order, each image of the first camera with what is nearest within ``slop`` s.

    Stamps are the headers', or the log's where a header has none. The instruction is the last one that was
    logged before. Frames without all cameras' images are left out; what is missing or unusable is counted in
    ``problems`` by reason. Raises BagError when a camera's topic is not in the bag, ValueError for a negative
    slop.
    """
    if not slop >= 0:
        raise ValueError(f"slop must be at least 0 s, got {slop}")
    require_images(bag, topics)
    unreadable_before = Counter(bag.unreadable)
    episodes = find_episodes(bag, topics.episode, next(iter(topics.images.values())), gap)
    instructions = read_instructions(bag, topics.instruction, problems)
    counts: Counter[int] = Counter()
    streams, first = _streams_by_topic(topics), _first(topics)
    for image, partners in synchronise(bag, streams, first, _slops(slop, slop), problems):
        frame = _make_frame(image, partners, topics, episode_at(episodes, image.logged), counts, problems)
        if frame is not None:
            yield Frame(**frame, instruction=_instruction_at(instructions, image.logged))
    for topic, count in (bag.unreadable - unreadable_before).items():
        problems[f"{topic}: unreadable"] += count


def segment_frames(
    bag: Bag,
    topics: BagTopics,
    segment: Segment,
    problems: Counter[str],
    slop: float = 0.05,
    state_slop: float = STATE_TOLERANCE,
    missing_after: float = 0.0,
) -> Iterator[Frame]:
    """Yield the frames of ``segment`` as ``iterate_frames`` does, reading little beyond it.

    The state may be ``state_slop`` s away, as for the nodes. Messages of other streams are looked for among those that
    were logged up to a second (and the slop) before or after the segment; ``problems`` counts bad ones within it.
    The segment's stand-ins take the place of missing images that are more than ``missing_after`` s behind by their
    own stamps too. Where cameras have different rates, frames that share their newest image have one stamp: only the
    first one is yielded, also where it belongs to the segment before.
    """
    slops = _slops(slop, state_slop)
    margin = PATIENCE + max(slops.values())
    last = LastImages(bag, segment.stand_ins, topics.images, topics.labels, slops["labels"])
    unreadable_before = Counter(bag.unreadable)
    counts = Counter({segment.episode: segment.first_frame})
    stretch = Stretch(segment.start, segment.stop, margin)
    streams, instants = _streams_by_topic(topics), frozenset(segment.instants)
    before: int | None = None
    try:
        for image, partners in synchronise(bag, streams, _first(topics), slops, problems, stretch, instants):
            if image.logged >= segment.stop:
                continue
            stood_in = last.stand_in(image, partners, round(missing_after * SECOND))
            newest = _newest(image, partners, topics)
            is_repeated, before = newest is not None and newest == before, newest or before
            if image.logged < segment.start:
                # An episode begins anew, and so may its clock.
                before = before if segment.first_frame else None
                continue
            frame = _make_frame(image, partners, topics, segment.episode, counts, problems)
            if frame is not None and is_repeated:
                problems[REPEATED] += 1
            elif frame is not None:
                instruction = _instruction_at(segment.instructions, image.logged)
                yield Frame(**frame, instruction=instruction, stood_in=stood_in)
    finally:
        for topic, count in (bag.unreadable - unreadable_before).items():
            problems[f"{topic}: unreadable"] += count


def _newest(image: Stamped, partners: Mapping[Stream, Any], topics: BagTopics) -> int | None:
    """Return the newest stamp of a set's images, ns; the instant's own for one without. None for an incomplete set."""
    if _missing(partners, topics):
        return None
    headers = (partners["image", camera].header for camera in topics.images)
    return max(nanoseconds_from_stamp(header.stamp) or image.stamp for header in headers)


def _missing(partners: Mapping[Stream, Any], topics: BagTopics) -> list[str]:
    """Return the cameras that have no image among ``partners``."""
    return [camera for camera in topics.images if ("image", camera) not in partners]


def _slops(slop: float, state_slop: float) -> dict[str, int]:
    """Return the slop of each kind of stream, ns."""
    common = round(slop * SECOND)
    return {"image": common, "labels": common, "state": round(state_slop * SECOND)}


def _instruction_at(instructions: Sequence[tuple[int, str]], logged: int) -> str:
    """Return the last instruction that was logged by then, or an empty text."""
    place = bisect_right(instructions, logged, key=lambda each: each[0]) - 1
    return instructions[place][1] if place >= 0 else ""


def require_images(bag: Bag, topics: BagTopics) -> None:
    """Raise BagError unless the bag has images of every camera."""
    if not topics.images:
        raise BagError("name at least one camera's image topic")
    for camera, topic in topics.images.items():
        if not topic or topic not in bag.topics or bag.topics[topic].message_count == 0:
            raise BagError(
                f"bag '{bag.path}' has no images of camera '{camera}' on '{topic}'; "
                f"its topics: {', '.join(bag.topics) or 'none'}"
            )


def read_instructions(bag: Bag, topic: str, problems: Counter[str]) -> list[tuple[int, str]]:
    """List (log stamp, instruction); instructions are few and short."""
    instructions = []
    for message in bag.messages([topic]):
        try:
            instructions.append((message.stamp, instruction_from_string(message.message)))
        except (MessageError, AttributeError) as error:
            problems[f"instruction: {getattr(error, 'reason', 'wrong type')}"] += 1
    return instructions


def _first(topics: BagTopics) -> Stream:
    """Return the stream that sets the instants."""
    return "image", next(iter(topics.images))


def _streams_by_topic(topics: BagTopics) -> dict[str, list[Stream]]:
    streams: dict[str, list[Stream]] = {}
    for kind, by_camera in (
        ("image", topics.images),
        ("labels", topics.labels),
        ("state", {"": topics.state}),
    ):
        for camera, topic in by_camera.items():
            if topic:
                streams.setdefault(topic, []).append((kind, camera))
    return streams


def _make_frame(
    image: Stamped,
    partners: Mapping[Stream, Any],
    topics: BagTopics,
    place: int | None,
    counts: Counter[int],
    problems: Counter[str],
) -> dict[str, Any] | None:
    """Return a frame's fields, or None when it cannot be used; count why."""
    if place is None:
        problems["frame: before the first episode"] += 1
        return None
    index = counts[place]
    counts[place] += 1
    missing = _missing(partners, topics)
    for camera in missing:
        problems[f"image of {camera}: none within the slop"] += 1
    for camera in (
        camera for camera, topic in topics.labels.items() if topic and ("labels", camera) not in partners
    ):
        problems[f"labels of {camera}: none within the slop"] += 1
    if topics.state and ("state", "") not in partners:
        problems["state: none within the slop"] += 1
    if missing:
        return None
    return {
        "episode": place,
        "index": index,
        "stamp": image.stamp,
        "images": {camera: partners["image", camera] for camera in topics.images},
        "labels": {
            camera: partners["labels", camera] for camera in topics.labels if ("labels", camera) in partners
        },
        "state": partners.get(("state", "")),
    }
