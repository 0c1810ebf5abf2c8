# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is made of finished pieces, in order of time: every output is a sink."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from vla_iss_ros.analysis.frame_table import FrameRow, TableWriter
from vla_iss_ros.analysis.pieces import Maps, StoredPiece
from vla_iss_ros.analysis.run_directory import RunDirectory, decode_picture, decode_regions, draw_frame
from vla_iss_ros.render.files import write_atomically
from vla_iss_ros.render.overlay import Scale

MOST_IN_FILE = 10_000  # frames in one file of maps


@dataclass(frozen=True)
class FinishedFrame:
    """One frame with what sinks draw and write; made when first asked for, shared by all sinks.

    ``scale``: follows the frames, as the node's.
    """

    row: FrameRow
    piece: StoredPiece
    settings: Any
    scale: Scale

    @property
    def maps(self) -> Maps:
        """The maps of the frame's piece."""
        assert self.piece.maps is not None
        return self.piece.maps

    @cached_property
    def place(self) -> int:
        """The frame's row in the piece's maps."""
        return self.maps.index(self.row.stamp)

    @cached_property
    def images(self) -> Mapping[str, np.ndarray]:
        """Camera to uint8 [H, W, 3] RGB."""
        found = {camera: self.piece.image(self.row.stamp, camera) for camera in self.maps.cells.names}
        return {camera: decode_picture(data) for camera, data in found.items() if data is not None}

    @cached_property
    def contrasts(self) -> Mapping[str, np.ndarray]:
        """Camera to float32 [H, W], units of delta."""
        return self._maps_of(self.maps.contrast)

    @cached_property
    def standard_errors(self) -> Mapping[str, np.ndarray]:
        """Camera to float32 [H, W], units of delta; NaN where interpolated."""
        return self._maps_of(self.maps.standard_error)

    @cached_property
    def regions(self) -> Mapping[str, np.ndarray]:
        """Camera to uint8 [H, W] as in ``RegionMap``, where there are any."""
        found = {camera: self.piece.regions(self.row.stamp, camera) for camera in self.images}
        return {camera: decode_regions(data) for camera, data in found.items() if data is not None}

    @cached_property
    def overlays(self) -> Mapping[str, np.ndarray]:
        """Camera to uint8 [H', W, 3] RGB, as the node draws them; ask for them in order of time."""
        top = self.scale.update(self.contrasts.values())
        return {
            camera: draw_frame(
                self.row,
                camera,
                image,
                self.contrasts[camera],
                top,
                self.settings,
                adapts=self.scale.adapts,
            )
            for camera, image in self.images.items()
        }

    def _maps_of(self, values: np.ndarray) -> dict[str, np.ndarray]:
        return {
            camera: self.maps.picture(values[self.place], camera, image.shape[:2])
            for camera, image in self.images.items()
        }


class Sink(Protocol):
    """Writes one kind of output, a context manager: files take their names when the block has succeeded."""

    def add(self, frame: FinishedFrame) -> None:
        """Take in the next frame, in order of time within each source."""

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class TableSink:
    """frames.parquet and frames.csv."""

    def __init__(self, directory: RunDirectory) -> None:
        self._writer = TableWriter(directory.parquet, directory.csv)

    def add(self, frame: FinishedFrame) -> None:
        """See :class:`Sink`."""
        self._writer.write([frame.row])

    def __enter__(self) -> TableSink:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)


class MapSink:
    """maps/<episode>.npz with ``metadata``; a long episode goes on in <episode>.1.npz and so on."""

    def __init__(self, directory: RunDirectory, metadata: Mapping[str, Any]) -> None:
        self._directory, self._metadata = directory.maps, metadata
        self._rows: list[FrameRow] = []
        self._parts: list[Maps] = []
        self._number = 0

    def add(self, frame: FinishedFrame) -> None:
        """See :class:`Sink`."""
        row = frame.row
        another = bool(self._rows) and row.episode != self._rows[-1].episode
        if another or len(self._rows) >= MOST_IN_FILE:
            self._flush()
            self._number = 0 if another else self._number + 1
        place = slice(frame.place, frame.place + 1)
        arrays = {name: getattr(frame.maps, name)[place] for name in Maps.ARRAYS}
        self._rows.append(row)
        self._parts.append(Maps(frame.maps.cells, **arrays))

    def _flush(self) -> None:
        rows, parts = self._rows, self._parts
        self._rows, self._parts = [], []
        if not rows:
            return
        stem = rows[0].episode.replace("/", "-") + (f".{self._number}" if self._number else "")
        about = {
            **self._metadata,
            "source": rows[0].source,
            "episode": rows[0].episode,
            "explained": [row.explained for row in rows],
        }
        write_atomically(self._directory / f"{stem}.npz", Maps.joined(parts).to_bytes(about))

    def __enter__(self) -> MapSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()


@contextlib.contextmanager
def opened(sinks: Sequence[Sink]) -> Iterator[None]:
    """Open all sinks; an error anywhere is told to all of them, so that none publishes half a result."""
    with contextlib.ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(sink)
        yield
