# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Moments of a LeRobot data set, for a donor set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from vla_iss_ros.bags.donors import Moment, encode_png, suffix_of
from vla_iss_ros.bags.lerobot_source import OpenDataset
from vla_iss_ros.bags.source import SourceFrame


class DatasetMoments:
    """The moments of a data set, of whose episodes only the chosen are read; see :class:`Moments`."""

    def __init__(self, dataset: OpenDataset, recording: str, cameras: Collection[str]) -> None:
        self.recording, self.cameras, self._dataset = recording, tuple(cameras), dataset

    def lengths(self) -> Mapping[int, int]:
        """See :class:`vla_iss_ros.bags.donors.Moments`."""
        found: Counter[int] = Counter()
        for segment in self._dataset.plan(1_000_000).segments:
            found[segment.episode] += segment.frames
        return found

    def read(self, episodes: Collection[int], problems: Counter[str]) -> Iterator[Moment]:
        """See :class:`vla_iss_ros.bags.donors.Moments`."""
        for episode, frame in self._dataset.all_frames(problems, episodes):
            seen = frame.observation
            yield Moment(episode, frame.frame, seen.stamp, seen.instruction, partial(_files, frame))


def _files(frame: SourceFrame) -> dict[str, tuple[str, bytes]]:
    """Return images in tables as they are, and those of videos as PNG."""
    contents = {
        camera: frame.encoded.get(camera) or encode_png(image)
        for camera, image in frame.observation.images.items()
    }
    return {camera: (suffix_of(content), content) for camera, content in contents.items()}
