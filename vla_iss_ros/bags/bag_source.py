# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 as a recording to analyse."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from vla_iss_ros.bags.episodes import Episode, by_pauses, episode_at, find_episodes
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics, Frame, read_instructions, require_images, segment_frames
from vla_iss_ros.bags.missing_cameras import Instant, StandIn, find_instants, find_stand_ins
from vla_iss_ros.bags.observations import decode_all_labels, observe
from vla_iss_ros.bags.reader import Bag, Stretch
from vla_iss_ros.bags.source import Plan, Segment, SourceFrame
from vla_iss_ros.bags.synchronising import readable
from vla_iss_ros.messages.buffers import read_buffer
from vla_iss_ros.messages.stamps import SECOND, nanoseconds_from_stamp

LOST = "image: listed in the bag and not found, which is damaged"
FILES = ("metadata.yaml", "*.db3", "*.mcap", "*.db3.zstd", "*.mcap.zstd")
NOT_AFTER = "frame: stamp is not after the one before"
DAMAGED = "bag: damaged, the rest of it is left out"
Found = TypeVar("Found", Instant, StandIn)


@dataclass(frozen=True)
class BagSource:
    """Where a rosbag2 is and how to read it; see :class:`vla_iss_ros.bags.source.Source`.

    ``topics``: hashable through ``BagTopics``' fields given as tuples of pairs, so that the object can be a key.
    ``instruction``: where the bag has none. ``gap``: pause that starts an episode where there are no markers, s.
    ``missing_camera`` and ``missing_camera_after``: as the settings of these names.
    """

    name: str
    path: Path
    images: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...] = ()
    state: str = ""
    instruction_topic: str = ""
    episode_topic: str = ""
    state_names: tuple[str, ...] = ()
    state_unit: str = "rad"
    instruction: str = ""
    slop: float = 0.05
    gap: float = 1.0
    missing_camera: str = "wait"
    missing_camera_after: float = 1.0

    @classmethod
    def of(cls, name: str, path: Path, topics: BagTopics, settings: Any, gap: float = 1.0) -> BagSource:
        """Return the source of a bag with these ``topics``; ``settings`` as those of the node."""
        return cls(
            name,
            path,
            tuple(topics.images.items()),
            tuple((camera, topic) for camera, topic in topics.labels.items() if topic),
            topics.state,
            topics.instruction,
            topics.episode,
            tuple(settings.state_names),
            settings.state_unit,
            settings.instruction,
            settings.sync_slop,
            gap,
            settings.missing_camera,
            settings.missing_camera_after,
        )

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras with an image topic."""
        return tuple(camera for camera, _ in self.images)

    @property
    def topics(self) -> BagTopics:
        """The bag's topics."""
        return BagTopics(
            dict(self.images), dict(self.labels), self.state, self.instruction_topic, self.episode_topic
        )

    def open(self) -> OpenBag:
        """Open the bag; raises BagError when it cannot be read or lacks a camera's images."""
        bag = Bag(self.path)
        try:
            require_images(bag, self.topics)
        except BagError:
            bag.close()
            raise
        return OpenBag(self, bag)

    def describe(self) -> dict[str, Any]:
        """See :class:`vla_iss_ros.bags.source.Source`."""
        described = {"kind": "rosbag2", "path": str(self.path.resolve()), "topics": asdict(self.topics)}
        return {**described, "gap": self.gap, "fingerprint": fingerprint(self.path, FILES)}


class OpenBag:
    """An open bag; see :class:`vla_iss_ros.bags.source.OpenSource`."""

    def __init__(self, source: BagSource, bag: Bag) -> None:
        self._source, self._bag = source, bag

    def plan(self, length: int) -> Plan:
        """Cut the bag by the log stamps of the first camera's images; reads through the bag once.

        Where another camera's image may stand in, also by those of the other cameras while the first one is missing.
        A damaged bag is planned up to where it is readable, and ``problems`` say so.
        """
        if length < 1:
            raise ValueError(f"segments must have at least 1 frame, got {length}")
        topics, problems = self._source.topics, Counter[str]()
        try:
            instructions = read_instructions(self._bag, topics.instruction, problems)
        except BagError:
            # Counted below, where the images end.
            instructions = []
        first = next(iter(topics.images))
        waits = self._source.missing_camera == "wait"
        logged: dict[str, list[int]] = {camera: [] for camera in ([first] if waits else topics.images)}
        try:
            self._list_images(logged)
            episodes = self._episodes(logged)
        except BagError:
            problems[DAMAGED] += 1
            episodes = by_pauses(logged, self._source.gap)
        # Within a damaged chunk the library ends silently; only the counts tell.
        lost = self._bag.topics[topics.images[first]].message_count - len(logged[first])
        if lost > 0:
            problems[LOST] += lost
        return self._segments(logged, episodes, instructions, length, problems)

    def _episodes(self, logged: Mapping[str, list[int]]) -> list[Episode]:
        """Return the episodes: by markers, else by pauses; ValueError for a gap that is not above 0 s."""
        topics, gap = self._source.topics, self._source.gap
        markers = self._bag.topics.get(topics.episode)
        if markers is not None and markers.message_count > 0:
            return find_episodes(self._bag, topics.episode, next(iter(topics.images.values())), gap)
        return by_pauses(logged, gap)

    def _missing(self) -> tuple[int, int]:
        """Return after how many ns without an image a camera is missing, and the slop in ns."""
        source = self._source
        return round(source.missing_camera_after * SECOND), round(source.slop * SECOND)

    def _list_images(self, logged: dict[str, list[int]]) -> None:
        """Append the log stamps of the images of each camera of ``logged``; raises BagError for a damaged bag."""
        topics = self._source.topics.images
        for raw in self._bag.raw_messages({topics[camera] for camera in logged}):
            for camera, stamps in logged.items():
                if topics[camera] == raw.topic:
                    stamps.append(raw.stamp)

    def _segments(
        self,
        logged: Mapping[str, list[int]],
        episodes: list[Episode],
        instructions: list[tuple[int, str]],
        length: int,
        problems: Counter[str],
    ) -> Plan:
        """Return the plan for the images that were logged at ``logged`` ns, by camera."""
        name = self._source.name
        first, origin = next(iter(logged)), self._origin(logged)
        after, slop = self._missing()
        instants = find_instants(logged, after, slop)
        stand_ins = find_stand_ins(instants, logged, after, slop)
        starts = {episode.index: episode.start for episode in episodes}
        cuts = _cut([instant.logged for instant in instants], episodes, length, problems)
        names = {episode.index: f"{name}/{episode.index}" for episode in episodes}
        segments = [
            Segment(
                source=name,
                number=number,
                episode=cut.episode,
                episode_name=names[cut.episode],
                first_frame=cut.first_frame,
                start=cut.start,
                stop=cut.stop,
                frames=cut.frames,
                instructions=_applying(instructions, cut.start, cut.stop),
                origin=origin,
                # From the slop before it on: the frame before may share its newest image.
                instants=tuple(
                    each for each in _within(instants, cut.start - slop, cut.stop) if each.camera != first
                ),
                # An image of another episode says nothing of this one.
                stand_ins=tuple(
                    each
                    for each in _within(stand_ins, cut.start - slop, cut.stop)
                    if each.logged >= starts[cut.episode]
                ),
            )
            for number, cut in enumerate(cuts)
        ]
        return Plan(tuple(segments), tuple(names.values()), problems)

    def _origin(self, logged: Mapping[str, Sequence[int]]) -> int:
        """Return the stamp of the first camera's first image, ns; of the log where its own cannot be read."""
        camera, stamps = next(iter(logged.items()))
        if not stamps:
            return 0
        start = stamps[0]
        with suppress(BagError):
            images = readable(self._bag, self._source.topics.images[camera], Stretch(start, start + 1))
            return next((image.stamp for image in images), start)
        return start

    def frames(self, segment: Segment, problems: Counter[str]) -> Iterator[SourceFrame]:
        """See :class:`vla_iss_ros.bags.source.OpenSource`."""
        source, newest = self._source, -1
        for frame in segment_frames(
            self._bag,
            source.topics,
            segment,
            problems,
            source.slop,
            missing_after=source.missing_camera_after,
        ):
            observation = observe(frame, source.state_names, source.state_unit, source.instruction, problems)
            if observation is None:
                continue
            stamps = _stamps(frame)
            stamp = max(stamps.values())
            if stamp <= newest:
                # A clock that was set back; maps are in order of time.
                problems[NOT_AFTER] += 1
                continue
            newest = stamp
            problems.update(f"image of {camera}: missing, another stood in" for camera in frame.stood_in)
            black = frame.stood_in if source.missing_camera == "blank" else frozenset()
            images = {
                camera: np.zeros_like(image) if camera in black else image
                for camera, image in observation.images.items()
            }
            yield SourceFrame(
                replace(observation, images=images, stamp=stamp),
                decode_all_labels(frame, problems),
                frame.index,
                {camera: message.header.frame_id for camera, message in frame.images.items()},
                _encoded({camera: each for camera, each in frame.images.items() if camera not in black}),
                stamps,
                frame.stood_in,
            )

    def __enter__(self) -> OpenBag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bag.close()


@dataclass(frozen=True)
class _Cut:
    episode: int
    first_frame: int
    start: int
    stop: int
    frames: int


def _cut(stamps: list[int], episodes: list[Episode], length: int, problems: Counter[str]) -> list[_Cut]:
    """Return stretches of at most ``length`` images of one episode; each ends where the next one begins."""
    by_episode: dict[int, list[int]] = {}
    for stamp in sorted(stamps):
        place = episode_at(episodes, stamp)
        if place is None:
            problems["frame: before the first episode"] += 1
        else:
            by_episode.setdefault(place, []).append(stamp)
    cuts = []
    for episode, found in by_episode.items():
        for first in range(0, len(found), length):
            part = found[first : first + length]
            cuts.append(_Cut(episode, first, part[0], part[-1] + 1, len(part)))
    return [
        *(replace(cut, stop=following.start) for cut, following in pairwise(cuts)),
        *cuts[-1:],
    ]


def _within(found: Sequence[Found], start: int, stop: int) -> Sequence[Found]:
    """Return those of ``found``, in order of the log stamps that they begin with, that lie in [start, stop) ns."""
    low, high = (bisect_left(found, stamp, key=lambda each: each[0]) for stamp in (start, stop))
    return found[low:high]


def _applying(instructions: list[tuple[int, str]], start: int, stop: int) -> tuple[tuple[int, str], ...]:
    """Return the instruction in force at ``start`` and those that follow before ``stop``, without repetitions."""
    before = [each for each in instructions if each[0] <= start][-1:]
    found = before + [each for each in instructions if start < each[0] < stop]
    return tuple(each for place, each in enumerate(found) if place == 0 or each[1] != found[place - 1][1])


def _stamps(frame: Frame) -> dict[str, int]:
    """Return the stamp of each camera's image, ns. The newest is the frame's for the nodes, and seeds its draws."""
    return {
        camera: nanoseconds_from_stamp(message.header.stamp) or frame.stamp
        for camera, message in frame.images.items()
    }


def _encoded(images: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the bytes of compressed images as they are."""
    return {
        camera: read_buffer(message.data, "image").tobytes()
        for camera, message in images.items()
        if hasattr(message, "format")
    }


def fingerprint(path: Path, patterns: Sequence[str]) -> str:
    """Return a short hash of the names, sizes and times of a recording's files, not of what is in them.

    ``patterns``: those of a directory's files that belong to it; others may come and go, as an analysis of it does.
    """
    files = [path]
    if path.is_dir():
        files = sorted({each for pattern in patterns for each in path.glob(pattern) if each.is_file()})
    digest = hashlib.sha256()
    for file in files:
        about = file.stat()
        digest.update(f"{file.name} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
