"""Gather donor frames from a bag: moments whose pixels stand in for replaced ones."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

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
    """Write ``count`` moments of the bag, spread over its episodes, as the donor set ``directory``.

    All cameras of a moment are of one instant. JPEG and PNG bytes are copied as recorded, raw images become
    PNG. A bag with fewer usable moments gives those. The directory appears when it is complete. Raises
    ValueError for a count below 1, BagError when the directory exists without ``overwrite`` or no usable
    moment is there.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    _check_target(directory, overwrite)
    lengths: Counter[int] = Counter()
    for frame in iterate_frames(bag, topics, Counter(), slop, gap):
        lengths[frame.episode] = frame.index + 1
    chosen = choose_moments(
        [lengths[episode] for episode in range(max(lengths, default=-1) + 1)], count, generator
    )
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        gathered = _write_moments(bag, partial, topics, chosen, slop, gap)
        if gathered.moments == 0:
            raise BagError(
                f"bag '{bag.path}' has no moment with readable images of {', '.join(topics.images)}"
            )
        _publish(partial, directory, overwrite)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
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


def _write_moments(
    bag: Bag, directory: Path, topics: BagTopics, chosen: Sequence[tuple[int, int]], slop: float, gap: float
) -> GatheredDonors:
    """Write the chosen frames; where one is unreadable, the next readable one of its episode stands in."""
    places = set(chosen)
    owed: Counter[int] = Counter()
    entries: dict[str, list[dict[str, str]]] = defaultdict(list)
    problems: Counter[str] = Counter()
    episodes, size, moments = set(), 0, 0
    for frame in iterate_frames(bag, topics, problems, slop, gap):
        # Up to this frame: a chosen one that lacks a camera's image does not arrive here itself.
        due = {place for place in places if place[0] == frame.episode and place[1] <= frame.index}
        places -= due
        owed[frame.episode] += len(due)
        if not owed[frame.episode]:
            continue
        try:
            files = {camera: _image_file(message) for camera, message in frame.images.items()}
        except MessageError as error:
            problems[f"image: {error.reason}"] += 1
            continue
        size += _write_frame(directory, moments, files)
        for camera, (suffix, _) in files.items():
            entries[camera].append(_describe(bag, frame, camera, f"{camera}/{moments:03d}{suffix}"))
        owed[frame.episode] -= 1
        episodes.add(frame.episode)
        moments += 1
    if moments:
        manifest = {"frames": [entry for camera in topics.images for entry in entries[camera]]}
        (directory / MANIFEST).write_text(
            json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    return GatheredDonors(moments, tuple(topics.images), len(episodes), size, problems)


def _image_file(message: Any) -> tuple[str, bytes]:
    """Return (suffix, content) of the file for an image message; raises MessageError when it is broken."""
    image = decode_image(message)
    if hasattr(message, "format"):
        content = read_buffer(message.data, "image").tobytes()
        return (".jpg" if content.startswith(JPEG_SIGNATURE) else ".png"), content
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return ".png", encoded.tobytes()


def _write_frame(directory: Path, number: int, files: dict[str, tuple[str, bytes]]) -> int:
    for camera, (suffix, content) in files.items():
        (directory / camera).mkdir(parents=True, exist_ok=True)
        (directory / camera / f"{number:03d}{suffix}").write_bytes(content)
    return sum(len(content) for _, content in files.values())


def _describe(bag: Bag, frame: Frame, camera: str, file: str) -> dict[str, str]:
    source = f"{bag.name}, episode {frame.episode}, {frame.stamp / SECOND:.3f} s"
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
