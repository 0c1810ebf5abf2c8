# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings that an analysis reads, whatever their format: cut into segments, and read frame by frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol

import numpy as np

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.missing_cameras import Instant, StandIn
from vla_iss_ros.iss.observation import Observation


@dataclass(frozen=True)
class Segment:
    """A stretch of one episode that is read and explained on its own; small, picklable and the same in every run.

    ``source``: name of the recording within the run. ``number``: counts the source's segments. ``episode`` and
    ``first_frame``: index of the episode, and within it of the segment's first frame. ``start`` and ``stop``: frames
    whose first camera's image was logged in [start, stop) ns belong to it. ``frames``: about how many those are.
    ``instructions``: (log stamp, text) of those that may apply, in order; ``origin``: stamp of the source's first
    image of the first camera, ns, on the clock of the frames' stamps. ``instants``: images of other cameras that set a
    frame's instant where the first one is missing, and ``stand_ins``: what stands in for missing images, both in order
    and from little before ``start`` on.
    """

    source: str
    number: int
    episode: int
    episode_name: str
    first_frame: int
    start: int
    stop: int
    frames: int
    instructions: tuple[tuple[int, str], ...] = ()
    origin: int = 0
    instants: tuple[Instant, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()

    @property
    def name(self) -> str:
        """The segment's own name within a run, fit for a file."""
        return f"{self.source}-{self.number:06d}"


class SourceFrame(NamedTuple):
    """One instant of a recording.

    ``labels``: camera to uint8 or uint16 [H, W], where there are any. ``frame``: its index in the episode.
    ``frame_ids``: of the images' headers, by camera. ``encoded``: JPEG or PNG bytes of the images, where they were
    recorded so. ``stamps``: of each camera's image, ns, where they are not the observation's. ``stood_in``: cameras
    that were missing, whose last image or a black one stands in.
    """

    observation: Observation
    labels: Mapping[str, np.ndarray]
    frame: int
    frame_ids: Mapping[str, str] = {}
    encoded: Mapping[str, bytes] = {}
    stamps: Mapping[str, int] = {}
    stood_in: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """What a recording holds. ``problems``: what planning had to leave out, counted by reason."""

    segments: tuple[Segment, ...]
    episodes: tuple[str, ...]
    problems: Counter[str] = field(default_factory=Counter)


class OpenSource(Protocol):
    """An open recording, a context manager; used by one thread at a time."""

    def plan(self, length: int) -> Plan:
        """Cut the recording into segments of at most ``length`` frames that do not cross episodes."""

    def frames(self, segment: Segment, problems: Counter[str]) -> Iterator[SourceFrame]:
        """Yield the segment's frames in order of time, read as they are asked for.

        What cannot be used is left out and counted in ``problems`` by reason. Raises BagError where the recording is
        damaged; what came before is good.
        """

    def __enter__(self) -> OpenSource: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Source(Protocol):
    """Where a recording is and how to read it; a frozen, picklable object that other processes can open.

    ``name``: unique in a run, fit for a file. ``cameras``: in the order of the policy's, the first sets the instants.
    """

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Its cameras."""

    def open(self) -> OpenSource:
        """Open the recording; raises BagError in one line when it cannot be read."""

    def describe(self) -> dict[str, Any]:
        """Return what to keep of it for people and for resuming, as JSON: kind, path, topics, ``fingerprint``.

        The fingerprint changes when the recording does; it is made of names, sizes and times of its files, not of
        their contents, which may be 100 GB.
        """


@dataclass(frozen=True)
class UnusableSource:
    """A recording that cannot be used, for a ``reason`` in one line; a :class:`Source` that names it when opened."""

    name: str
    path: Path
    cameras: tuple[str, ...]
    reason: str

    def open(self) -> OpenSource:
        """Raise BagError with the reason."""
        raise BagError(self.reason)

    def describe(self) -> dict[str, Any]:
        """See :class:`Source`; nothing of its files, which may not be there."""
        return {"kind": "unusable", "path": str(self.path), "reason": self.reason, "fingerprint": ""}
