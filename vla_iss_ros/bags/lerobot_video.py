# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames of a video at given times. PyAV is imported when one is opened."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vla_iss_ros.bags.errors import BagError


def video_frames(
    path: Path, times: Sequence[float], tolerance: float
) -> Generator[np.ndarray | None, None, None]:
    """Yield the frame nearest to each of ``times``, uint8 [H, W, 3] RGB; None where none is within ``tolerance``.

    ``times``: s, ascending. Reads from the key frame before the first one. Raises BagError in one line when the file is
    missing or damaged, ImportError without PyAV.
    """
    av = _av()
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BagError(f"'{path}' has no video in it")
            stream = container.streams.video[0]
            # Several threads would take the policy's cores.
            stream.thread_count = 1
            container.seek(max(0, int((times[0] - tolerance) / stream.time_base)), stream=stream)
            yield from _nearest(container.decode(stream), times, tolerance)
    except av.FFmpegError as error:
        raise BagError(f"cannot read the video '{path}': {error.strerror}") from error
    except OSError as error:
        raise BagError(f"cannot read the video '{path}': {error}") from error


def _nearest(decoded: Iterator[Any], times: Sequence[float], tolerance: float) -> Iterator[np.ndarray | None]:
    """Yield for each time the nearest of the frames, which come in order; holds two of them."""
    before, after = None, next(decoded, None)
    for time in times:
        while after is not None and (after.time is None or after.time < time):
            if after.time is not None:
                before = after
            after = next(decoded, None)
        near = [frame for frame in (before, after) if frame is not None]
        best = min(near, key=lambda frame: abs(frame.time - time), default=None)
        if best is None or abs(best.time - time) > tolerance:
            yield None
        else:
            yield best.to_ndarray(format="rgb24")


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError("videos need PyAV: pip install 'vla_iss_ros[bags]'") from error
    return av
