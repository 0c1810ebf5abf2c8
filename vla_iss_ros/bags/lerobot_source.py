# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A LeRobot data set as a recording to analyse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np

from vla_iss_ros.bags.bag_source import fingerprint
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.lerobot_layout import DatasetEpisode, Layout, read_layout, read_table
from vla_iss_ros.bags.lerobot_video import video_frames
from vla_iss_ros.bags.source import Plan, Segment, SourceFrame
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.images import decode_image
from vla_iss_ros.messages.instructions import instruction_from_string
from vla_iss_ros.messages.joint_states import state_from_joint_state
from vla_iss_ros.messages.stamps import SECOND

STATE = "observation.state"
FRAMES_AT_ONCE = 64
FILES = ("meta/**/*", "data/**/*", "videos/**/*", "images/**/*")


@dataclass(frozen=True)
class LeRobotSource:
    """Where a data set is and how to read it; see :class:`vla_iss_ros.bags.source.Source`.

    ``images``: (camera, feature) pairs. ``state``: feature, empty: none. ``state_names``: of its entries, in the
    policy's order. ``instruction``: for frames without a task that can be used.
    """

    name: str
    path: Path
    images: tuple[tuple[str, str], ...]
    state: str = ""
    state_names: tuple[str, ...] = ()
    state_unit: str = "rad"
    instruction: str = ""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras with a feature."""
        return tuple(camera for camera, _ in self.images)

    def open(self) -> OpenDataset:
        """Read what the data set says of itself; raises BagError when it cannot be read or lacks a feature."""
        layout = read_layout(self.path)
        check_features(layout, dict(self.images), self.state, self.state_names)
        return OpenDataset(self, layout)

    def describe(self) -> dict[str, Any]:
        """See :class:`vla_iss_ros.bags.source.Source`."""
        features = {"images": dict(self.images), "state": self.state}
        described = {"kind": "LeRobot", "path": str(self.path.resolve()), "features": features}
        return {**described, "fingerprint": fingerprint(self.path, FILES)}


class OpenDataset:
    """An open data set; see :class:`vla_iss_ros.bags.source.OpenSource`.

    A frame's stamp is the time since the data set's first frame, counted in frames of its rate, with a second more
    before each episode: data sets keep no wall clock.
    """

    def __init__(self, source: LeRobotSource, layout: Layout) -> None:
        self._source, self._layout = source, layout
        self._episodes = {episode.index: episode for episode in layout.episodes}
        self._instructions, self._refused = _instructions(layout.tasks)

    def plan(self, length: int) -> Plan:
        """Cut every episode; those whose files are missing are left out and counted, as are tasks that are refused.

        Raises BagError, naming a file, when that leaves none.
        """
        if length < 1:
            raise ValueError(f"segments must have at least 1 frame, got {length}")
        problems = Counter(self._refused)
        segments: list[Segment] = []
        names, lost = [], None
        for episode in self._layout.episodes:
            missing = self._missing(episode)
            if missing is not None:
                camera, lost = missing
                what = f"video of camera '{camera}'" if camera else "table"
                problems[f"episode: its {what} is missing"] += 1
                continue
            name = f"{self._source.name}/{episode.index}"
            names.append(name)
            for first in range(0, episode.length, length):
                frames = min(length, episode.length - first)
                start, last = self._stamp(episode, first), self._stamp(episode, first + frames - 1)
                place = (
                    self._source.name,
                    len(segments),
                    episode.index,
                    name,
                    first,
                    start,
                    last + 1,
                    frames,
                )
                segments.append(Segment(*place, origin=self._stamp(self._layout.episodes[0], 0)))
        if not segments:
            why = f"'{lost}' is missing" if lost else "it has no episode"
            raise BagError(f"data set '{self._source.path}' has nothing to read: {why}")
        return Plan(tuple(segments), tuple(names), problems)

    def all_frames(
        self, problems: Counter[str], episodes: Collection[int] | None = None
    ) -> Iterator[tuple[int, SourceFrame]]:
        """Yield the frames of ``episodes`` (None: of all) with the episode's number, in order."""
        plan = self.plan(FRAMES_AT_ONCE)
        problems.update(plan.problems)
        for segment in plan.segments:
            if episodes is None or segment.episode in episodes:
                for frame in self.frames(segment, problems):
                    yield segment.episode, frame

    def frames(self, segment: Segment, problems: Counter[str]) -> Iterator[SourceFrame]:
        """See :class:`vla_iss_ros.bags.source.OpenSource`."""
        episode = self._episodes[segment.episode]
        rows = self._rows(episode, segment.first_frame, segment.frames)
        if len(rows) < segment.frames:
            problems["frame: the table ends before the episode"] += segment.frames - len(rows)
        if not rows:
            return
        with ExitStack() as stack:
            videos = {}
            for camera, feature in self._source.images:
                if feature in episode.videos:
                    path, offset = episode.videos[feature]
                    times = [offset + row["frame_index"] / self._layout.fps for row in rows]
                    # Half a frame: the nearest one is the frame's own, whatever its stamp was rounded to.
                    decoding = video_frames(path, times, 0.5 / self._layout.fps)
                    videos[camera] = stack.enter_context(closing(decoding))
            for row in rows:
                decoded = {camera: next(video) for camera, video in videos.items()}
                frame = self._frame(episode, row, decoded, problems)
                if frame is not None:
                    yield frame

    def _missing(self, episode: DatasetEpisode) -> tuple[str, Path] | None:
        """Return the first file of an episode that is not there, with its camera."""
        places = [("", episode.data)]
        places += [
            (camera, episode.videos[feature][0])
            for camera, feature in self._source.images
            if feature in episode.videos
        ]
        return next(((camera, path) for camera, path in places if not path.is_file()), None)

    def _stamp(self, episode: DatasetEpisode, frame: int) -> int:
        return (1 + episode.index) * SECOND + round((episode.first + frame) * SECOND / self._layout.fps)

    def _rows(self, episode: DatasetEpisode, first: int, count: int) -> list[dict[str, Any]]:
        """Return the rows of some frames, in order."""
        columns = ["frame_index", "task_index"]
        columns += [self._source.state] if self._source.state else []
        columns += [feature for _, feature in self._source.images if feature not in episode.videos]
        table = read_table(
            episode.data,
            [*columns, "episode_index"],
            [
                ("episode_index", "=", episode.index),
                ("frame_index", ">=", first),
                ("frame_index", "<", first + count),
            ],
        )
        return sorted(table.to_pylist(), key=lambda row: row["frame_index"])

    def _frame(
        self,
        episode: DatasetEpisode,
        row: Mapping[str, Any],
        decoded: Mapping[str, np.ndarray | None],
        problems: Counter[str],
    ) -> SourceFrame | None:
        """Return a frame, or None after counting why there is none."""
        images, encoded = {}, {}
        try:
            for camera, feature in self._source.images:
                if camera in decoded:
                    image = decoded[camera]
                    if image is None:
                        problems[f"image of {camera}: the video has none at this time"] += 1
                        return None
                    images[camera] = image
                else:
                    encoded[camera] = self._picture(row[feature])
                    images[camera] = decode_image(SimpleNamespace(data=encoded[camera], format=""))
            state = self._state(row)
        except MessageError as error:
            problems[f"frame: {error.reason}"] += 1
            return None
        text = self._instructions.get(row["task_index"], "") or self._source.instruction
        if not text:
            problems["instruction: none"] += 1
        stamp = self._stamp(episode, row["frame_index"])
        stamps = dict.fromkeys(images, stamp)
        observation = Observation(images, text, state, stamp)
        return SourceFrame(observation, {}, row["frame_index"], {}, encoded, stamps)

    def _picture(self, value: Any) -> bytes:
        """Return the bytes of an image in the table, or of the file within the data set that it names."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):
            return value["bytes"]
        name = value.get("path") if isinstance(value, Mapping) else None
        path = self._layout.root / str(name)
        if not name or not path.resolve().is_relative_to(self._layout.root.resolve()) or not path.is_file():
            raise MessageError("no picture", "the table holds neither an image's bytes nor a file of its own")
        return path.read_bytes()

    def _state(self, row: Mapping[str, Any]) -> np.ndarray | None:
        if not self._source.state:
            return None
        names = self._layout.features[self._source.state].names
        values = np.atleast_1d(row[self._source.state])
        message = SimpleNamespace(name=names or self._source.state_names, position=values)
        return state_from_joint_state(message, self._source.state_names, self._source.state_unit)

    def __enter__(self) -> OpenDataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Files are open only while frames are read."""


def _instructions(tasks: Mapping[int, str]) -> tuple[dict[int, str], Counter[str]]:
    """Return the tasks that can be instructions, by number, and the others counted by reason, the first one named."""
    good: dict[int, str] = {}
    refused: dict[str, list[int]] = {}
    for number, text in tasks.items():
        try:
            good[number] = instruction_from_string(SimpleNamespace(data=text))
        except MessageError as error:
            refused.setdefault(error.reason, []).append(number)
    counts: Counter[str] = Counter()
    for reason, (first, *others) in refused.items():
        counts[f"instruction: {reason} in a task, first in {first} ({tasks[first][:40]!a})"] = 1 + len(others)
    return good, counts


def check_features(layout: Layout, images: Mapping[str, str], state: str, state_names: Sequence[str]) -> None:
    """Raise BagError in one line unless the data set has the features of all cameras and of the state."""
    for camera, feature in images.items():
        if feature not in layout.pictures:
            where = f" in '{feature}'" if feature else ""
            raise BagError(
                f"data set '{layout.root}' has no images of camera '{camera}'{where}; "
                f"its cameras: {', '.join(layout.pictures) or 'none'}; name one with --image {camera}=FEATURE"
            )
    if not state:
        return
    if state not in layout.features:
        raise BagError(
            f"data set '{layout.root}' has no feature '{state}'; it has {', '.join(layout.features)}"
        )
    names = layout.features[state].names
    missing = [name for name in state_names if names and name not in names]
    if missing:
        raise BagError(
            f"'{state}' of data set '{layout.root}' has no '{missing[0]}'; its names: {', '.join(names)}; "
            "give --state-names in the policy's order"
        )


def guess_features(
    layout: Layout, cameras: Sequence[str], state_names: Sequence[str]
) -> tuple[dict[str, str], str]:
    """Return the feature of each camera, and that of the state or an empty text.

    A camera's feature ends with its name; where none does and there is one a camera, they are taken in the order of
    their names. The state is observation.state when it has ``state_names``, or unnamed entries. Raises BagError,
    listing the cameras that there are, when one cannot be told.
    """
    found = {camera: _named(layout.pictures, camera) for camera in cameras}
    if not any(found.values()) and len(layout.pictures) == len(cameras):
        found = dict(zip(cameras, sorted(layout.pictures), strict=True))
    check_features(layout, {camera: feature or "" for camera, feature in found.items()}, "", ())
    about = layout.features.get(STATE)
    fits = about is not None and (not about.names or set(state_names) <= set(about.names))
    return found, STATE if fits else ""


def _named(features: Sequence[str], camera: str) -> str:
    fitting = [feature for feature in features if feature.rpartition(".")[2].lower() == camera.lower()]
    fitting = fitting or [
        feature for feature in features if camera.lower() in feature.rpartition(".")[2].lower()
    ]
    return min(fitting, key=len, default="")


def features_in_words(source: LeRobotSource, layout: Layout) -> list[str]:
    """Return one line a feature, for people."""
    lines = [f"LeRobot data set {layout.version}, {len(layout.episodes)} episodes, {layout.fps:g} Hz"]
    lines += [f"camera {camera}: {feature}" for camera, feature in source.images]
    state, about = source.state or "none", layout.features.get(STATE)
    if not source.state and about is not None and about.names:
        state += f" ({STATE} has {', '.join(about.names)}; choose with --state-names)"
    lines.append(f"state: {state}")
    lines.append("instruction: the tasks")
    return lines
