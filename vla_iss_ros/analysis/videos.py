# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A video of overlays a camera: H.264 in MP4, which browsers play."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from vla_iss_ros.analysis.outputs import FinishedFrame
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.messages.stamps import SECOND

TICKS = 1000  # a second
PAUSE = 0.5  # s shown between frames that lie further apart or go back, as between episodes
LEAST = 0.01  # s between frames


class VideoSink:
    """<camera>.mp4 of every camera, in the frames' own time; see :class:`vla_iss_ros.analysis.outputs.Sink`.

    Raises ImportError, naming the extra, without PyAV.
    """

    def __init__(self, directory: RunDirectory) -> None:
        _av()
        self._directory = directory
        self._videos: dict[str, _Video] = {}
        self._last: int | None = None
        self._time = 0.0

    def add(self, frame: FinishedFrame) -> None:
        """See :class:`vla_iss_ros.analysis.outputs.Sink`."""
        stamp = frame.row.stamp
        if self._last is not None:
            step = (stamp - self._last) / SECOND
            self._time += PAUSE if step < 0 or step > PAUSE else max(LEAST, step)
        self._last = stamp
        for camera, picture in frame.overlays.items():
            if camera not in self._videos:
                self._videos[camera] = _Video(self._directory.video(camera), picture.shape[:2])
            self._videos[camera].write(picture, self._time)

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for video in self._videos.values():
            video.close(publish=kind is None)


class _Video:
    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        # The codec's colours are halved in size: both sides must be even.
        self._height, self._width = (side + side % 2 for side in size)
        self._container = _av().open(str(self._partial), "w", format="mp4", options={"movflags": "faststart"})
        self._stream: Any = self._container.add_stream(
            "libx264", rate=30, options={"preset": "veryfast", "crf": "20"}
        )
        self._stream.width, self._stream.height, self._stream.pix_fmt = self._width, self._height, "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._stream.codec_context.thread_count = 1

    def write(self, picture: np.ndarray, seconds: float) -> None:
        """Append uint8 [H, W, 3] RGB; another size than the first is fitted into it."""
        frame = _av().VideoFrame.from_ndarray(self._fitted(picture), format="rgb24")
        frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))

    def _fitted(self, picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        if height > self._height or width > self._width:
            share = min(self._height / height, self._width / width)
            size = (max(1, int(width * share)), max(1, int(height * share)))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        canvas = np.zeros((self._height, self._width, 3), np.uint8)
        canvas[: picture.shape[0], : picture.shape[1]] = picture
        return canvas

    def close(self, publish: bool) -> None:
        """Finish the file and give it its name, or throw it away."""
        try:
            if publish:
                self._container.mux(self._stream.encode())
            self._container.close()
            if publish:
                self._partial.replace(self._path)
        finally:
            self._partial.unlink(missing_ok=True)


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError("videos need PyAV: pip install 'vla_iss_ros[bags]'") from error
    return av
