# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The directory that an analysis writes, and a reader of it.

run.json          what was explained by what, settings, versions, counts and times; written last
frames.parquet    a row a frame (:class:`vla_iss_ros.analysis.frame_table.FrameRow`), and frames.csv the same
maps/             <episode>.npz: cell values of its frames with metadata (:class:`vla_iss_ros.analysis.pieces.Maps`)
<camera>.mp4      overlays of all frames
analysis.mcap     overlays, maps, NMR and diagnostics as the node publishes them, with the stamps of the inputs;
                  of several recordings analysis-<recording>.mcap each
report.html       for people
pieces/           finished segments with the cameras' images; what is resumed from, and where pictures come from
"""

from __future__ import annotations

import json
import math
import shutil
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vla_iss_ros.analysis.frame_columns import StoredRows
from vla_iss_ros.analysis.frame_table import FrameRow
from vla_iss_ros.analysis.pieces import StoredPiece
from vla_iss_ros.render.files import write_atomically
from vla_iss_ros.render.overlay import STOOD_IN, Legend, draw_overlay
from vla_iss_ros.settings import check

FORMAT = 1
OPEN_PIECES = 4


class DamagedInfoError(ValueError):
    """run.json is there and no JSON; the text says what to do."""


class RunDirectory:
    """Names of the files of a run."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.info = self.path / "run.json"
        self.parquet = self.path / "frames.parquet"
        self.csv = self.path / "frames.csv"
        self.maps = self.path / "maps"
        self.bag = self.path / "analysis.mcap"
        self.report = self.path / "report.html"
        self.pieces = self.path / "pieces"

    def piece(self, name: str) -> Path:
        """Return where the piece of a segment lies."""
        return self.pieces / f"{name}.piece"

    def video(self, camera: str) -> Path:
        """Return where the video of a camera lies."""
        return self.path / f"{camera}.mp4"

    def bag_of(self, source: str) -> Path:
        """Return where the bag of a recording lies when there are several."""
        return self.path / f"analysis-{source}.mcap"

    @property
    def bags(self) -> list[Path]:
        """The bags that are there: that of the one recording, or one of each, in the order of their names."""
        return [path for path in [self.bag, *sorted(self.path.glob("analysis-*.mcap"))] if path.is_file()]

    def read_info(self) -> dict[str, Any] | None:
        """Return what run.json holds, None where there is none.

        Raises DamagedInfoError for a file that is no JSON, ValueError for one that is not ours or cannot be opened.
        """
        try:
            info = json.loads(self.info.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(f"cannot read '{self.info}': {error}") from error
        except ValueError as error:
            raise DamagedInfoError(
                f"cannot read '{self.info}': {error}; analyse anew with --restart, or into another directory"
            ) from error
        if not isinstance(info, dict) or info.get("format") != FORMAT:
            found = info.get("format") if isinstance(info, dict) else None
            raise ValueError(
                f"'{self.info}' must have format {FORMAT}, got {found}; analyse into another directory"
            )
        return info

    def write_info(self, info: Mapping[str, Any]) -> None:
        """Write run.json, whole or not at all. NaN becomes null: JSON has none."""
        text = json.dumps({"format": FORMAT, **_finite(info)}, indent=1, ensure_ascii=False)
        write_atomically(self.info, (text + "\n").encode())

    def whole_pieces(self) -> set[str]:
        """Return the names of the segments whose pieces are there and undamaged."""
        names = [
            str(path.relative_to(self.pieces))[: -len(path.suffix)] for path in self.pieces.rglob("*.piece")
        ]
        return {name for name in names if self._is_whole(name)}

    def _is_whole(self, name: str) -> bool:
        try:
            with StoredPiece(self.piece(name)) as piece:
                piece.check()
        except ValueError:
            return False
        return True

    def remove_outputs(self, cameras: Sequence[str]) -> None:
        """Remove what a run with these ``cameras`` wrote, all but run.json; files of others stay."""
        videos = [self.video(camera) for camera in cameras]
        for path in (self.parquet, self.csv, self.report, *self.bags, *videos):
            path.unlink(missing_ok=True)
        for path in (self.maps, self.pieces):
            if path.exists():
                shutil.rmtree(path)


class AnalysisRun:
    """A complete run, opened for reading; a context manager.

    ``info``: run.json. ``settings``: checked, as the run had them. ``rows``: the table, in order of time within each
    source, read when they are asked for. ``cameras``: the policy's.
    """

    def __init__(self, directory: RunDirectory, info: Mapping[str, Any], rows: Sequence[FrameRow]) -> None:
        self.directory, self.info, self.rows = directory, info, rows
        self.settings = check(info["settings"])
        self.cameras: tuple[str, ...] = tuple(info["cameras"])
        self._open: OrderedDict[str, StoredPiece] = OrderedDict()

    @classmethod
    def open(cls, path: Path | str) -> AnalysisRun:
        """Open the run in a directory; raises ValueError in one line when there is none or it is not complete."""
        directory = RunDirectory(path)
        info = directory.read_info()
        if info is None:
            raise ValueError(f"'{path}' holds no analysis; make one with analyze_bag --out {path}")
        if info["status"] != "complete":
            raise ValueError(
                f"the analysis in '{path}' is not complete; start analyze_bag again to resume it"
            )
        return cls(directory, info, StoredRows(directory.parquet))

    def contrast(self, row: FrameRow, camera: str, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return a frame's contrast on a camera's image, float32 [h, w] of ``size`` (None: the image's), in delta."""
        maps = self._piece(row).maps
        assert maps is not None
        size = size or self.image(row, camera).shape[:2]
        return maps.picture(maps.contrast[maps.index(row.stamp)], camera, size)

    def image(self, row: FrameRow, camera: str) -> np.ndarray:
        """Return the image that the camera gave, uint8 [H, W, 3] RGB; raises KeyError for none."""
        return decode_picture(self.encoded_image(row, camera))

    def encoded_image(self, row: FrameRow, camera: str) -> bytes:
        """Return that image as JPEG or PNG bytes."""
        data = self._piece(row).image(row.stamp, camera)
        if data is None:
            raise KeyError(f"no image of camera '{camera}' at stamp {row.stamp}")
        return data

    def regions(self, row: FrameRow, camera: str) -> np.ndarray | None:
        """Return the region of each pixel, uint8 [H, W] as in ``RegionMap``, or None where there are none."""
        data = self._piece(row).regions(row.stamp, camera)
        return None if data is None else decode_regions(data)

    def overlay(self, row: FrameRow, camera: str, scale: float | None = None) -> np.ndarray:
        """Return the heat over the image with its legend, uint8 [H', W, 3] RGB.

        ``scale``: contrast at the top of the colour map; None: the largest of this frame's views.
        """
        image = self.image(row, camera)
        contrast = self.contrast(row, camera, image.shape[:2])
        top = scale or self.peak(row)
        return draw_frame(row, camera, image, contrast, top, self.settings, adapts=scale is None)

    def peak(self, row: FrameRow) -> float:
        """Return the largest contrast of a frame's cells over all views, units of delta; 1 where none is above 0."""
        maps = self._piece(row).maps
        assert maps is not None
        largest = float(np.nanmax(maps.contrast[maps.index(row.stamp)]))
        return largest if largest > 0 else 1.0

    def _piece(self, row: FrameRow) -> StoredPiece:
        if row.piece not in self._open:
            self._open[row.piece] = StoredPiece(self.directory.piece(row.piece))
            if len(self._open) > OPEN_PIECES:
                self._open.popitem(last=False)[1].__exit__()
        return self._open[row.piece]

    def close(self) -> None:
        """Close the files."""
        while self._open:
            self._open.popitem()[1].__exit__()

    def __enter__(self) -> AnalysisRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def draw_frame(
    row: FrameRow,
    camera: str,
    image: np.ndarray,
    contrast: np.ndarray,
    scale: float,
    settings: Any,
    *,
    adapts: bool,
) -> np.ndarray:
    """Return the overlay of one camera of a frame as the node draws it, uint8 [H', W, 3] RGB."""
    ratio = row.ratios[settings.nmr_percent]
    state = row.reason or ("" if row.explained else "interpolated")
    if row.stop_reason == "time budget":
        state = state or "stopped by the time budget"
    if camera in row.stood_in.split(", "):
        state = STOOD_IN
    legend = Legend(
        camera=camera,
        percent=settings.nmr_percent,
        value=ratio.value,
        low=ratio.low,
        high=ratio.high,
        chance=row.chance,
        samples=row.samples,
        state=state,
        adapts=adapts,
        words=_words(row),
    )
    return draw_overlay(
        image,
        contrast,
        scale,
        alpha=settings.overlay_alpha,
        colour_map=settings.colour_map,
        legend=legend,
    )


def _words(row: FrameRow) -> list[tuple[str, float]]:
    """Return the instruction's words with their contrast, NaN where that is not known."""
    if row.words:
        return [(word, contrast) for word, contrast, _ in json.loads(row.words)]
    return [(word, math.nan) for word in row.instruction.split()]


def decode_picture(data: bytes) -> np.ndarray:
    """Return uint8 [H, W, 3] RGB of JPEG or PNG bytes."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.cvtColor(_decoded(data, flags), cv2.COLOR_BGR2RGB)


def decode_regions(data: bytes) -> np.ndarray:
    """Return uint8 [H, W] of a grey PNG's bytes."""
    return _decoded(data, cv2.IMREAD_UNCHANGED)


def _decoded(data: bytes, flags: int) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if decoded is None:
        raise ValueError(f"a stored picture of {len(data)} bytes cannot be decoded")
    return decoded


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
