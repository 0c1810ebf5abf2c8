# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Explain one segment of a recording: the unit of work that engines hand out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any, NamedTuple

import cv2
import numpy as np

from vla_iss_ros.analysis.frame_rows import PieceBuilder
from vla_iss_ros.analysis.pieces import Piece, add_seconds
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.source import OpenSource, Segment, Source, SourceFrame
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.policies.errors import PolicyError, PolicyGoneError
from vla_iss_ros.policies.loading import ENTRY_POINTS, REGISTRY, load_policy, local_path
from vla_iss_ros.policies.permissions import Permissions
from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.policies.recorded import Recorded
from vla_iss_ros.regions.label_images import RegionError, regions_from_labels
from vla_iss_ros.regions.recorded import LabelReader
from vla_iss_ros.settings import check

LIGHT = ("builtin", "openpi")  # types of policies that are loaded in moments


@dataclass(frozen=True)
class Job:
    """What is done to every segment of a source; picklable.

    ``settings``: values by name, the policy's name among them. ``labels``: where label images come from, None: from the
    source. ``stride``: of each segment every ``stride``-th frame and the last one are explained, the others
    interpolated in time.
    """

    source: Source
    settings: Mapping[str, Any]
    labels: LabelReader | None = None
    stride: int = 1


class Task(NamedTuple):
    """A segment and what to do with it."""

    job: Job
    segment: Segment


class ReadyFrame(NamedTuple):
    """A frame read and decoded: everything short of the policy. ``pictures``: JPEG or PNG by camera.

    ``stood_in``: cameras that were missing.
    """

    observation: Observation
    frame: int
    regions: RegionMap | None
    pictures: Mapping[str, bytes]
    region_pictures: Mapping[str, bytes]
    frame_ids: Mapping[str, str]
    stamps: Mapping[str, int]
    stood_in: frozenset[str] = frozenset()


class Reader:
    """Reads the frames of segments; keeps one recording open. Used by one thread at a time, a context manager."""

    def __init__(self) -> None:
        self._source: Source | None = None
        self._open: OpenSource | None = None

    def frames(self, task: Task, problems: Counter[str], seconds: dict[str, float]) -> Iterator[ReadyFrame]:
        """Yield the frames of a task's segment; ``seconds`` gets what reading took, as ``decode``.

        A recording that is damaged ends the segment; what came before is good, and ``problems`` say so. Raises BagError
        when it cannot be opened, which it could when it was cut into segments.
        """
        settings = check(task.job.settings)
        started = time.perf_counter()
        opened = self._opened(task.job.source)
        try:
            for frame in opened.frames(task.segment, problems):
                ready = _prepare(frame, task.job, settings, problems)
                add_seconds(seconds, {"decode": time.perf_counter() - started})
                yield ready
                started = time.perf_counter()
        except BagError as error:
            problems[f"damaged: {error}"] += 1
        add_seconds(seconds, {"decode": time.perf_counter() - started})

    def _opened(self, source: Source) -> OpenSource:
        if self._open is None or self._source != source:
            self.close()
            self._open, self._source = source.open().__enter__(), source
        return self._open

    def close(self) -> None:
        """Close the recording."""
        if self._open is not None:
            self._open.__exit__(None, None, None)
        self._open = self._source = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Analyst:
    """Explains frames; keeps one policy loaded. One a process or thread."""

    def __init__(self) -> None:
        self._settings: Mapping[str, Any] | None = None
        self._explainer: Explainer | None = None

    def explain(
        self,
        task: Task,
        frames: Iterator[ReadyFrame],
        problems: Counter[str],
        on_frame: Callable[[], object] = lambda: None,
    ) -> Piece:
        """Explain a task's ``frames`` and return the piece, with ``problems`` as its own.

        The same numbers whatever was explained before: draws are seeded by the frame's stamp. Frames that the policy
        refuses are left out and counted. Raises PolicyGoneError when the policy answers no more, PolicyError and
        ValueError when policy, settings or donors do not fit.
        ``on_frame`` hears of every frame that was dealt with; an exception of its ends the work.
        """
        settings = check(task.job.settings)
        explainer = self._explainer_for(task.job.settings, settings)
        builder = PieceBuilder(task.segment, settings, problems)
        for last, number, frame in _marked(frames):
            explanation = None
            if last or number % task.job.stride == 0:
                started = time.perf_counter()
                try:
                    explanation = explainer.explain(frame.observation, frame.regions)
                except PolicyGoneError:
                    raise
                except ValueError as error:
                    problems[f"frame: {' '.join(str(error).split())}"] += 1
                add_seconds(builder.seconds, {"explain": time.perf_counter() - started})
                if explanation is None:
                    on_frame()
                    continue
                add_seconds(builder.seconds, {"policy": explanation.seconds["policy"]})
            builder.add(frame, explanation)
            on_frame()
        return builder.finish()

    def _explainer_for(self, values: Mapping[str, Any], settings: Any) -> Explainer:
        if self._explainer is None or self._settings != values:
            self._explainer = None  # its memory is needed
            policy = load_fitting(settings)
            explainer = Recorded.of(policy, settings).explainer(policy, settings)
            self._explainer, self._settings = explainer, values
        return self._explainer


def analyse_segment(
    task: Task, reader: Reader, analyst: Analyst, on_frame: Callable[[], object] = lambda: None
) -> Piece:
    """Read and explain one segment, in this thread; ``on_frame`` as in :meth:`Analyst.explain`."""
    problems: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    piece = analyst.explain(task, reader.frames(task, problems, seconds), problems, on_frame)
    add_seconds(piece.seconds, seconds)
    return piece


def load_fitting(settings: Any) -> Policy:
    """Return the policy that ``settings`` name; raises PolicyError when cameras or state do not fit it."""
    policy = load_policy(settings.policy, settings.device, Permissions.of(settings))
    wanted = policy.spec.camera_names
    if set(wanted) != set(settings.cameras):
        raise PolicyError(
            f"policy '{policy.spec.name}' takes the cameras {', '.join(wanted)}; "
            f"the setting cameras names {', '.join(settings.cameras)}"
        )
    count = len(policy.spec.state_names)
    if count and count != len(settings.state_names):
        raise PolicyError(
            f"policy '{policy.spec.name}' takes a state of {count} numbers, got {len(settings.state_names)} "
            f"state_names: {', '.join(settings.state_names)}"
        )
    return policy


def require_policy(settings: Any) -> None:
    """Raise PolicyError where the policy that ``settings`` name cannot be used, as far as moments can tell.

    Files that may be large are looked for and not loaded; a policy that another package brings is not loaded either.
    """
    kind = settings.policy.partition(":")[0]
    path = local_path(settings.policy)
    large = kind in REGISTRY and kind not in LIGHT and path is not None and path.exists()
    installed = kind not in REGISTRY and entry_points(group=ENTRY_POINTS, name=kind)
    if not large and not installed:
        # The GPU may be another computer's, of a worker.
        load_fitting(replace(settings, device="cpu"))


def _prepare(frame: SourceFrame, job: Job, settings: Any, problems: Counter[str]) -> ReadyFrame:
    observation = frame.observation
    labels = frame.labels if job.labels is None else _labels_of(frame, job.labels, problems)
    regions = usable_regions(labels, settings, observation.images, problems)
    pictures = {
        camera: frame.encoded.get(camera) or encode_picture(image)
        for camera, image in observation.images.items()
    }
    drawn = {camera: encode_regions(view) for camera, view in regions.views.items()} if regions else {}
    return ReadyFrame(
        observation, frame.frame, regions, pictures, drawn, frame.frame_ids, frame.stamps, frame.stood_in
    )


def _labels_of(frame: SourceFrame, reader: LabelReader, problems: Counter[str]) -> Mapping[str, np.ndarray]:
    """Return the label images that ``reader`` has of a frame's images; count those that cannot be used."""
    labels: dict[str, np.ndarray] = {}
    for camera in frame.observation.images:
        # An image that stands in shows an earlier instant.
        stamp = frame.stamps[camera] if camera in frame.stood_in else frame.observation.stamp
        try:
            labels.update(reader.labels((camera,), stamp))
        except RegionError as error:
            problems[f"regions: {error}"] += 1
    return labels


def usable_regions(
    labels: Mapping[str, np.ndarray],
    settings: Any,
    images: Mapping[str, np.ndarray],
    problems: Counter[str],
) -> RegionMap | None:
    """Return the regions of the cameras with a usable label image, as the node does; count the others."""
    views: dict[str, np.ndarray] = {}
    for camera, image in labels.items():
        try:
            views.update(regions_from_labels({camera: image}, settings, images).views)
        except RegionError as error:
            problems[f"regions: {error}"] += 1
    return RegionMap(views) if views else None


def encode_picture(image: np.ndarray) -> bytes:
    """Return JPEG bytes of uint8 [H, W, 3] RGB."""
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def encode_regions(view: np.ndarray) -> bytes:
    """Return PNG bytes of a region map, uint8 [H, W]."""
    return cv2.imencode(".png", view, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _marked(frames: Iterator[ReadyFrame]) -> Iterator[tuple[bool, int, ReadyFrame]]:
    """Yield (whether it is the last, number, frame); reads one ahead."""
    number, held = 0, next(frames, None)
    while held is not None:
        following = next(frames, None)
        yield following is None, number, held
        number, held = number + 1, following
