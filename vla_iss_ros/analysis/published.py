# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""analysis.mcap, one a recording: what iss_node would have published, with the stamps of the inputs."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from vla_iss_ros.analysis.frame_table import FrameRow
from vla_iss_ros.analysis.outputs import FinishedFrame
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.writer import BagWriter
from vla_iss_ros.messages.encoding import encode_compressed_image, encode_image
from vla_iss_ros.messages.stamps import SECOND, stamp_from_nanoseconds
from vla_iss_ros.render.overlay import draw_regions
from vla_iss_ros.render.text import with_interval

NODE = "/iss_node"
HARDWARE = "analyze_bag"
OK, WARN, ERROR = 0, 1, 2


class BagSink:
    """analysis.mcap on the node's topics: saliency, stderr, overlay/compressed and regions a camera, nmr, /diagnostics.

    The camera's image comes along as <camera>/image/compressed, so that the file shows everything by itself. Stamps of
    several recordings may overlap, so each has a file of its own; recordings come one after another. See
    :class:`vla_iss_ros.analysis.outputs.Sink`.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        # rosbags writes directories; the one file in each is what people open.
        self._scratch = directory.path / ".analysis.partial"
        self._typestore = get_typestore(Stores.ROS2_JAZZY)
        self._sources: list[str] = []
        self._writer: BagWriter | None = None

    def add(self, frame: FinishedFrame) -> None:
        """See :class:`vla_iss_ros.analysis.outputs.Sink`."""
        if self._writer is None or frame.row.source != self._sources[-1]:
            self._finish()
            self._begin(frame.row.source)
        assert self._writer is not None
        for topic, message in self._messages(frame):
            self._writer.write(topic, message, frame.row.stamp)

    def _messages(self, frame: FinishedFrame) -> Iterator[tuple[str, Any]]:
        row = frame.row
        ratio = row.ratios[frame.settings.nmr_percent]
        compressed, image = self._type("sensor_msgs", "CompressedImage"), self._type("sensor_msgs", "Image")
        for camera, pixels in frame.images.items():
            header = self._header(
                frame.piece.stamp_of(row.stamp, camera), frame.piece.frame_ids.get(camera, camera)
            )
            output = f"{NODE}/output/{camera}"
            yield f"/{camera}/image/compressed", self._recorded(frame, camera, header)
            yield f"{output}/saliency", encode_image(frame.contrasts[camera], header, image, "32FC1")
            if row.explained:
                yield f"{output}/stderr", encode_image(frame.standard_errors[camera], header, image, "32FC1")
            overlay = encode_compressed_image(frame.overlays[camera], header, compressed)
            yield f"{output}/overlay/compressed", overlay
            if camera in frame.regions:
                drawn = draw_regions(pixels, frame.regions[camera])
                yield f"{output}/regions", encode_image(drawn, header, image, "rgb8")
        if not math.isnan(ratio.value):
            yield f"{NODE}/output/nmr", self._type("std_msgs", "Float32")(data=ratio.value)
        yield "/diagnostics", self._diagnostics(row, frame.settings)

    def _recorded(self, frame: FinishedFrame, camera: str, header: Any) -> Any:
        data = frame.piece.image(frame.row.stamp, camera) or b""
        kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
        return self._type("sensor_msgs", "CompressedImage")(
            header=header, format=kind, data=np.frombuffer(data, np.uint8)
        )

    def _diagnostics(self, row: FrameRow, settings: Any) -> Any:
        pair = self._type("diagnostic_msgs", "KeyValue")
        status = self._type("diagnostic_msgs", "DiagnosticStatus")(
            level=_level(row, settings),
            name=f"{NODE}: NMR",
            message=_message(row, settings),
            hardware_id=HARDWARE,
            values=[pair(key=key, value=str(value)) for key, value in _values(row, settings).items()],
        )
        header = self._header(row.stamp, "")
        return self._type("diagnostic_msgs", "DiagnosticArray")(header=header, status=[status])

    def _header(self, stamp: int, frame_id: str) -> Any:
        time = stamp_from_nanoseconds(stamp, self._type("builtin_interfaces", "Time"))
        return self._type("std_msgs", "Header")(stamp=time, frame_id=frame_id)

    def _type(self, package: str, name: str) -> Any:
        return self._typestore.types[f"{package}/msg/{name}"]

    def _begin(self, source: str) -> None:
        if source in self._sources:
            raise ValueError(
                f"frames of '{source}' must come one after another, got some after '{self._sources[-1]}'"
            )
        self._sources.append(source)
        self._writer = BagWriter(self._place(source), typestore=self._typestore, compress=True).__enter__()

    def _finish(self, *error: Any) -> None:
        """Close the file of the recording that is under way; with an ``error``, as of __exit__, throw it away."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.__exit__(*(error or (None, None, None)))
        except BagError as failure:
            # Its text says where the recording is kept, which is about to go: all of it can be made again.
            final = self._final(self._sources[-1])
            raise BagError(f"cannot write '{final}': {failure.__cause__ or failure}") from failure

    def _place(self, source: str) -> Path:
        return self._scratch / source / "analysis"

    def _final(self, source: str) -> Path:
        return self._directory.bag if len(self._sources) == 1 else self._directory.bag_of(source)

    def _publish(self) -> None:
        """Give all files their names; those of an earlier start, which may have read other recordings, go."""
        finals = {self._final(source): self._place(source) / "analysis.mcap" for source in self._sources}
        for final, written in finals.items():
            written.replace(final)
        for path in self._directory.bags:
            if path not in finals:
                path.unlink()

    def __enter__(self) -> BagSink:
        shutil.rmtree(self._scratch, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._finish(kind, error, trace)
            if kind is None:
                self._publish()
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)


def _level(row: FrameRow, settings: Any) -> int:
    """Return the level that the node reports, by NMR over chance."""
    value = row.ratios[settings.nmr_percent].value
    if math.isnan(value) or math.isnan(row.chance) or row.chance <= 0:
        return OK
    ratio = value / row.chance
    return ERROR if ratio >= settings.nmr_error_ratio else WARN if ratio >= settings.nmr_warn_ratio else OK


def _message(row: FrameRow, settings: Any) -> str:
    percent, ratio = settings.nmr_percent, row.ratios[settings.nmr_percent]
    if math.isnan(ratio.value):
        return f"NMR@{percent} undefined: {row.reason}"
    value = with_interval(ratio.value, ratio.low, ratio.high)
    how = f"N = {row.samples}" if row.explained else "interpolated"
    return f"NMR@{percent} {value}, chance {row.chance:.2f}, {how}"


def _values(row: FrameRow, settings: Any) -> Mapping[str, Any]:
    """Return the figures under the names that the node's diagnostics have."""
    headline = row.ratios[settings.nmr_percent]
    values: dict[str, Any] = {
        f"NMR@{settings.nmr_percent}": headline.value,
        "NMR low": headline.low,
        "NMR high": headline.high,
        "NMR reason": row.reason,
        "chance": row.chance,
        "floor": headline.floor,
        **{f"NMR camera {camera}": value for camera, value in headline.views.items()},
        **{f"NMR@{percent}": ratio.value for percent, ratio in row.ratios.items()},
        "samples N": row.samples,
        "stop reason": row.stop_reason,
        "interpolated": not row.explained,
        "mean delta": row.mean_delta,
        "noise floor": row.noise_floor,
        "policy shares its noise": row.shared_noise,
    }
    for name, effect in row.effects.items():
        name = name.replace("camera_", "camera ", 1)
        values |= {f"effect {name} delta": effect.delta, f"effect {name} share": effect.share}
        if effect.reason:
            values[f"effect {name} reason"] = effect.reason
    values |= {f"seconds {stage}": value for stage, value in row.timings.items()}
    values["stamp (s)"] = "{}.{:09d}".format(*divmod(row.stamp, SECOND))
    values["instruction"] = row.instruction[:200]
    values["episode"] = row.episode
    return values
