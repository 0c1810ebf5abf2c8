# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Finished segments of an analysis: one file each, whole or absent, from which every output is made."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vla_iss_ros.analysis.cell_description import cells_of, describe_cells
from vla_iss_ros.analysis.frame_table import FrameRow
from vla_iss_ros.iss.cells import Cells
from vla_iss_ros.render.files import write_atomically


@dataclass(frozen=True)
class Maps:
    """Cell values of F frames, and where the cells lie.

    ``stamps`` int64 [F], ns. ``contrast``, ``standard_error`` and ``iss``: float32 [F, C], units of delta; the errors
    of interpolated frames are NaN. ``actions`` float32 [F, T, A]: the unperturbed answer in physical units, NaN where
    interpolated. Upsampled by its cells, a map equals the one that the node publishes.
    """

    cells: Cells
    stamps: np.ndarray
    contrast: np.ndarray
    standard_error: np.ndarray
    iss: np.ndarray
    actions: np.ndarray

    ARRAYS = ("stamps", "contrast", "standard_error", "iss", "actions")

    def index(self, stamp: int) -> int:
        """Return which row is the frame of ``stamp``; raises KeyError for none."""
        found = np.flatnonzero(self.stamps == stamp)
        if not len(found):
            raise KeyError(f"no map of stamp {stamp} here")
        return int(found[0])

    def picture(self, values: np.ndarray, camera: str, size: tuple[int, int]) -> np.ndarray:
        """Return cell values [C] as a map of a camera's image, float32 [h, w]."""
        if camera not in self.cells.names:
            raise KeyError(f"no camera '{camera}' in this analysis; have {list(self.cells.names)}")
        return self.cells.maps(torch.from_numpy(values)[None], size)[
            0, self.cells.names.index(camera)
        ].numpy()

    def to_bytes(self, metadata: Mapping[str, Any]) -> bytes:
        """Return a compressed NumPy archive: the arrays, and ``metadata`` with the cells' geometry as JSON text."""
        about = json.dumps({**metadata, "cells": describe_cells(self.cells)})
        stream = io.BytesIO()
        arrays = {name: getattr(self, name) for name in self.ARRAYS}
        np.savez_compressed(stream, metadata=np.array(about), **arrays)
        return stream.getvalue()

    @classmethod
    def of_bytes(cls, data: bytes) -> tuple[Maps, dict[str, Any]]:
        """Return what ``to_bytes`` wrote, and the metadata."""
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            metadata = json.loads(str(archive["metadata"]))
            arrays = {name: archive[name] for name in cls.ARRAYS}
        return cls(cells_of(metadata.pop("cells")), **arrays), metadata

    @classmethod
    def joined(cls, parts: Sequence[Maps]) -> Maps:
        """Return the maps of all ``parts``, which have the same cells, one after another."""
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.ARRAYS}
        return cls(parts[0].cells, **arrays)


@dataclass
class Piece:
    """What explaining one segment yields.

    ``rows``: one a frame, in order of time. ``maps``: None without any frame. ``images``: (stamp, camera) to JPEG or
    PNG bytes of the camera's image. ``regions``: to PNG bytes of the region map (grey, the values of ``RegionMap``).
    ``frame_ids``: camera to the frame of its headers. ``stamps``: stamp to those of the
    cameras, where they differ. ``problems``: what was left out, counted by reason. ``seconds``:
    ``policy`` within forwards, ``explain`` in all of explaining, ``decode`` beside it.
    """

    name: str
    rows: list[FrameRow] = field(default_factory=list)
    maps: Maps | None = None
    images: dict[tuple[int, str], bytes] = field(default_factory=dict)
    regions: dict[tuple[int, str], bytes] = field(default_factory=dict)
    frame_ids: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the piece as one file, which appears when it is complete."""
        stream = io.BytesIO()
        # Pictures and arrays are compressed already.
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            about = {
                "name": self.name,
                "rows": [row.flat() for row in self.rows],
                "frame_ids": self.frame_ids,
                "stamps": self.stamps,
                "problems": self.problems,
                "seconds": self.seconds,
            }
            archive.writestr("piece.json", json.dumps(about), zipfile.ZIP_DEFLATED)
            if self.maps is not None:
                archive.writestr("maps.npz", self.maps.to_bytes({}))
            for kind, pictures in (("image", self.images), ("regions", self.regions)):
                for (stamp, camera), data in pictures.items():
                    archive.writestr(f"{kind}/{camera}/{stamp}", data)
        write_atomically(path, stream.getvalue())


def add_seconds(into: dict[str, float], spent: Mapping[str, float]) -> None:
    """Add times by stage."""
    for stage, value in spent.items():
        into[stage] = into.get(stage, 0.0) + value


# What zipfile and json raise where bytes are damaged; RuntimeError: a flag says encrypted or a method unknown.
DAMAGE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
)


class StoredPiece:
    """A piece on disk, a context manager; pictures are read one at a time.

    Raises ValueError in one line when the file is no piece, also where a picture is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _told_as_damage(path):
            self._archive = zipfile.ZipFile(path)
            about = json.loads(self._archive.read("piece.json"))
            self.name: str = about["name"]
            self.rows = [FrameRow.of_flat(row) for row in about["rows"]]
            self.frame_ids: dict[str, str] = about["frame_ids"]
            self._stamps: dict[str, dict[str, int]] = about["stamps"]
            self.problems: Counter[str] = Counter(about["problems"])
            self.seconds: dict[str, float] = about["seconds"]
            self._names = set(self._archive.namelist())
            self.maps: Maps | None = None
            if "maps.npz" in self._names:
                self.maps = Maps.of_bytes(self._archive.read("maps.npz"))[0]

    def check(self) -> None:
        """Read all pictures, so that a damaged one is heard of."""
        for name in self._names:
            self._read(name)

    def image(self, stamp: int, camera: str) -> bytes | None:
        """Return the JPEG or PNG bytes of a camera's image."""
        return self._read(f"image/{camera}/{stamp}")

    def stamp_of(self, stamp: int, camera: str) -> int:
        """Return the stamp of a camera's image in the frame of ``stamp``, ns."""
        return self._stamps.get(str(stamp), {}).get(camera, stamp)

    def regions(self, stamp: int, camera: str) -> bytes | None:
        """Return the PNG bytes of a camera's region map."""
        return self._read(f"regions/{camera}/{stamp}")

    def _read(self, name: str) -> bytes | None:
        with _told_as_damage(self._path):
            return self._archive.read(name) if name in self._names else None

    def __enter__(self) -> StoredPiece:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()


@contextlib.contextmanager
def _told_as_damage(path: Path) -> Iterator[None]:
    """Raise ValueError in one line for whatever damaged bytes raise."""
    try:
        yield
    except DAMAGE as error:
        raise ValueError(f"'{path}' is not a piece of an analysis: {error!r}; remove it") from error
