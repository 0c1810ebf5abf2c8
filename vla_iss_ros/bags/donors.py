# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Gather donor frames from a recording: moments whose pixels stand in for replaced ones."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics, Frame, iterate_frames
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.messages.buffers import read_buffer
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.image_headers import JPEG_SIGNATURE
from vla_iss_ros.messages.images import decode_image
from vla_iss_ros.messages.stamps import SECOND

MANIFEST = "donors.json"


@dataclass(frozen=True)
class GatheredDonors:
    """What ``gather_donors`` wrote. ``moments``: instants, each with one image a camera."""

    moments: int
    cameras: tuple[str, ...]
    episodes: int
    bytes: int
    problems: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Moment:
    """One instant of a recording. ``files``: by camera the suffix and bytes of its image; raises MessageError."""

    episode: int
    index: int
    stamp: int
    instruction: str
    files: Callable[[], dict[str, tuple[str, bytes]]]


class Moments(Protocol):
    """The instants of a recording. ``recording``: what it is called, for people."""

    recording: str
    cameras: tuple[str, ...]

    def lengths(self) -> Mapping[int, int]:
        """Return the frames of each episode."""

    def read(self, episodes: Collection[int], problems: Counter[str]) -> Iterator[Moment]:
        """Yield at least the moments of ``episodes``, in order; count what cannot be used."""


class BagMoments:
    """The moments of a bag; see :class:`Moments`."""

    def __init__(self, bag: Bag, topics: BagTopics, slop: float, gap: float) -> None:
        self.recording, self.cameras = bag.name, tuple(topics.images)
        self._bag, self._topics, self._slop, self._gap = bag, topics, slop, gap

    def lengths(self) -> Mapping[int, int]:
        """See :class:`Moments`."""
        found: Counter[int] = Counter()
        for frame in iterate_frames(self._bag, self._topics, Counter(), self._slop, self._gap):
            found[frame.episode] = frame.index + 1
        return found

    def read(self, episodes: Collection[int], problems: Counter[str]) -> Iterator[Moment]:
        """See :class:`Moments`."""
        for frame in iterate_frames(self._bag, self._topics, problems, self._slop, self._gap):
            files = partial(_image_files, frame)
            yield Moment(frame.episode, frame.index, frame.stamp, frame.instruction, files)


def gather_donors(
    bag: Bag,
    directory: Path,
    topics: BagTopics,
    count: int,
    generator: np.random.Generator,
    *,
    overwrite: bool = False,
    slop: float = 0.05,
    gap: float = 1.0,
) -> GatheredDonors:
    """Write ``count`` moments of a bag as :func:`write_donors` does."""
    moments = BagMoments(bag, topics, slop, gap)
    return write_donors(moments, directory, count, generator, overwrite=overwrite)


def write_donors(
    moments: Moments,
    directory: Path,
    count: int,
    generator: np.random.Generator,
    *,
    overwrite: bool = False,
) -> GatheredDonors:
    """Write ``count`` moments of a recording, spread over its episodes, as the donor set ``directory``.

    All cameras of a moment are of one instant. JPEG and PNG bytes are copied as recorded, raw images become
    PNG. A recording with fewer usable moments gives those. The directory appears when it is complete. Raises
    ValueError for a count below 1, BagError when the directory exists without ``overwrite`` or no usable
    moment is there.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    _check_target(directory, overwrite)
    lengths = moments.lengths()
    chosen = choose_moments(
        [lengths.get(episode, 0) for episode in range(max(lengths, default=-1) + 1)], count, generator
    )
    unfinished = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        gathered = _write_moments(moments, unfinished, chosen)
        if gathered.moments == 0:
            raise BagError(
                f"'{moments.recording}' has no moment with readable images of {', '.join(moments.cameras)}"
            )
        _publish(unfinished, directory, overwrite)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return gathered


def choose_moments(
    lengths: Sequence[int], count: int, generator: np.random.Generator
) -> list[tuple[int, int]]:
    """Choose (episode, frame) pairs: as evenly over episodes of ``lengths`` frames as can be, then over time.

    A frame is drawn from each of an episode's equal stretches. Returns at most ``count``, without repeats,
    sorted.
    """
    shares = [0] * len(lengths)
    order = generator.permutation(len(lengths))
    left = min(count, sum(lengths))
    while left:
        for episode in order:
            if left and shares[episode] < lengths[episode]:
                shares[episode] += 1
                left -= 1
    chosen = []
    for episode, (length, share) in enumerate(zip(lengths, shares, strict=True)):
        edges = [length * part // share for part in range(share + 1)] if share else []
        chosen += [(episode, int(generator.integers(low, high))) for low, high in pairwise(edges)]
    return chosen


def _write_moments(moments: Moments, directory: Path, chosen: Sequence[tuple[int, int]]) -> GatheredDonors:
    """Write the chosen frames; where one is unreadable, the next readable one of its episode stands in."""
    places = set(chosen)
    owed: Counter[int] = Counter()
    entries: dict[str, list[dict[str, str]]] = defaultdict(list)
    problems: Counter[str] = Counter()
    episodes, size, written = set(), 0, 0
    for frame in moments.read({episode for episode, _ in chosen}, problems):
        # Up to this frame: a chosen one that lacks a camera's image does not arrive here itself.
        due = {place for place in places if place[0] == frame.episode and place[1] <= frame.index}
        places -= due
        owed[frame.episode] += len(due)
        if not owed[frame.episode]:
            continue
        try:
            files = frame.files()
        except MessageError as error:
            problems[f"image: {error.reason}"] += 1
            continue
        size += _write_frame(directory, written, files)
        for camera, (suffix, _) in files.items():
            file = f"{camera}/{written:03d}{suffix}"
            entries[camera].append(_describe(moments.recording, frame, camera, file))
        owed[frame.episode] -= 1
        episodes.add(frame.episode)
        written += 1
    if written:
        manifest = {"frames": [entry for camera in moments.cameras for entry in entries[camera]]}
        (directory / MANIFEST).write_text(
            json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    return GatheredDonors(written, tuple(moments.cameras), len(episodes), size, problems)


def _image_files(frame: Frame) -> dict[str, tuple[str, bytes]]:
    return {camera: _image_file(message) for camera, message in frame.images.items()}


def _image_file(message: Any) -> tuple[str, bytes]:
    """Return (suffix, content) of the file for an image message; raises MessageError when it is broken."""
    image = decode_image(message)
    if hasattr(message, "format"):
        content = read_buffer(message.data, "image").tobytes()
        return suffix_of(content), content
    return ".png", encode_png(image)


def suffix_of(content: bytes) -> str:
    """Return the suffix of a file of JPEG or PNG bytes."""
    return ".jpg" if content.startswith(JPEG_SIGNATURE) else ".png"


def encode_png(image: np.ndarray) -> bytes:
    """Return PNG bytes of uint8 [H, W, 3] RGB."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return encoded.tobytes()


def _write_frame(directory: Path, number: int, files: dict[str, tuple[str, bytes]]) -> int:
    for camera, (suffix, content) in files.items():
        (directory / camera).mkdir(parents=True, exist_ok=True)
        (directory / camera / f"{number:03d}{suffix}").write_bytes(content)
    return sum(len(content) for _, content in files.values())


def _describe(recording: str, frame: Moment, camera: str, file: str) -> dict[str, str]:
    source = f"{recording}, episode {frame.episode}, {frame.stamp / SECOND:.3f} s"
    return {"camera": camera, "file": file, "instruction": frame.instruction, "source": source}


def _check_target(directory: Path, overwrite: bool) -> None:
    if not directory.exists():
        return
    if not overwrite:
        raise BagError(f"'{directory}' exists already; choose another directory or overwrite it")
    # Overwriting replaces a whole directory: only one that holds nothing else is ever removed.
    if not directory.is_dir() or (any(directory.iterdir()) and not (directory / MANIFEST).is_file()):
        raise BagError(
            f"'{directory}' is not a donor set, so it is not overwritten; choose another directory"
        )


def _publish(partial: Path, directory: Path, overwrite: bool) -> None:
    _check_target(directory, overwrite)
    retired = partial.with_suffix(".replaced")
    if directory.exists():
        directory.rename(retired)
    partial.rename(directory)
    shutil.rmtree(retired, ignore_errors=True)
