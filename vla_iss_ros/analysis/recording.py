# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read what the nodes published from a recorded bag."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vla_iss_ros.analysis.comparison import ShownFrame
from vla_iss_ros.analysis.episodes import ExplainedFrame
from vla_iss_ros.bags.episodes import Episode, episode_at
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.messages.images import decode_image
from vla_iss_ros.messages.stamps import SECOND, nanoseconds_from_stamp

DIAGNOSTICS = "/diagnostics"


@dataclass(frozen=True)
class RecordedTopics:
    """Where the recording has what: ``images``: camera to topic; ``node``: full name of the iss_node."""

    images: Mapping[str, str]
    node: str = "/iss_node"

    def output(self, name: str) -> str:
        """Return the topic of one of the node's outputs."""
        return f"{self.node}/output/{name}"


@dataclass(frozen=True)
class Recording:
    """All explained frames, and those whose pictures are whole, each in order of time."""

    explained: list[ExplainedFrame]
    shown: list[ShownFrame]


@dataclass
class _Contents:
    """What was published, by stamp and then camera; ``ratios``: NMR in the order of the frames."""

    contrasts: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    regions: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    images: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    ratios: list[float] = field(default_factory=list)
    reports: dict[int, Mapping[str, str]] = field(default_factory=dict)


def read_recording(
    path: Path, topics: RecordedTopics, percent: int, episodes: Sequence[Episode], names: Sequence[str]
) -> Recording:
    """Return the explained frames of a recording.

    All cameras of a frame have one stamp. ``episodes`` with their ``names`` tell which one a frame is of;
    seconds count from the first. Figures are those of /diagnostics. That goes out once a second: frames in
    between have the NMR of the node's nmr topic, where no message of it was lost, and nothing else: NaN, and
    N 0. Raises BagError for a damaged bag, MessageError for a picture that cannot be decoded.
    """
    with Bag(path) as bag:
        contents = _collect(bag, topics)
    stamps = sorted({*contents.reports, *contents.contrasts})
    # std_msgs/Float32 has no header: without a loss the n-th value is the n-th frame's.
    ratios = dict(zip(stamps, contents.ratios, strict=True)) if len(stamps) == len(contents.ratios) else {}
    explained, shown = [], []
    for stamp in stamps:
        place = episode_at(episodes, stamp)
        frame = explained_frame(
            stamp,
            ratios.get(stamp, math.nan),
            contents.reports.get(stamp, {}),
            percent,
            seconds=(stamp - episodes[0].start) / SECOND if episodes else stamp / SECOND,
            episode="" if place is None else names[place],
        )
        explained.append(frame)
        images, contrasts = contents.images.get(stamp, {}), contents.contrasts.get(stamp, {})
        if set(topics.images) <= set(images) and set(topics.images) <= set(contrasts):
            shown.append(ShownFrame(frame, images, contrasts, contents.regions.get(stamp, {})))
    return Recording(explained, shown)


def _collect(bag: Bag, topics: RecordedTopics) -> _Contents:
    contents = _Contents()
    pictures = {topics.output(f"{camera}/saliency"): (contents.contrasts, camera) for camera in topics.images}
    pictures |= {topics.output(f"{camera}/regions"): (contents.regions, camera) for camera in topics.images}
    pictures |= {topic: (contents.images, camera) for camera, topic in topics.images.items()}
    nmr = topics.output("nmr")
    for topic, _, message in bag.messages([nmr, DIAGNOSTICS, *pictures]):
        if topic == nmr:
            contents.ratios.append(float(message.data))
        elif topic == DIAGNOSTICS:
            contents.reports.update(_reports(message, f"{topics.node}: NMR"))
        else:
            by_stamp, camera = pictures[topic]
            decode = _float_map if by_stamp is contents.contrasts else decode_image
            by_stamp.setdefault(nanoseconds_from_stamp(message.header.stamp), {})[camera] = decode(message)
    return contents


def _reports(message: Any, name: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    for status in message.status:
        values = {pair.key: pair.value for pair in status.values}
        if status.name == name and "stamp (s)" in values:
            seconds, _, fraction = values["stamp (s)"].partition(".")
            yield int(seconds) * SECOND + int(fraction.ljust(9, "0")[:9]), values


def _float_map(message: Any) -> np.ndarray:
    """Return a 32FC1 sensor_msgs/Image as float32 [H, W]; the node writes it without row padding."""
    order = ">f4" if message.is_bigendian else "<f4"
    return np.frombuffer(message.data, order).reshape(message.height, message.width).astype(np.float32)


def explained_frame(
    stamp: int, nmr: float, report: Mapping[str, str], percent: int, *, seconds: float, episode: str
) -> ExplainedFrame:
    """Return a frame from its NMR and its status in /diagnostics, empty where there is none."""
    effects, reasons = {}, {}
    for key, value in report.items():
        if key.startswith("effect ") and key.endswith(" share") and key != "effect everything share":
            name = key.removeprefix("effect ").removesuffix(" share")
            effects[name.removeprefix("camera ")] = float(value)
            if f"effect {name} reason" in report:
                reasons[name.removeprefix("camera ")] = report[f"effect {name} reason"]
    return ExplainedFrame(
        stamp=stamp,
        seconds=seconds,
        nmr=float(report.get(f"NMR@{percent}", nmr)),
        low=float(report.get("NMR low", math.nan)),
        high=float(report.get("NMR high", math.nan)),
        chance=float(report.get("chance", math.nan)),
        samples=int(report.get("samples N", 0)),
        reason=report.get("NMR reason", ""),
        effects=effects,
        effect_reasons=reasons,
        episode=episode,
    )
