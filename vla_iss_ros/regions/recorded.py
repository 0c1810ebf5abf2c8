# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the label images of recorded frames come from, when not from a topic of the recording."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vla_iss_ros.regions.label_images import RegionError
from vla_iss_ros.regions.polygons import ClassNames, coco_labels, coco_stems, is_coco, labelme_labels
from vla_iss_ros.regions.static_masks import read_labels

SUFFIXES = (".png", ".json")


class LabelReader(Protocol):
    """Gives label images of recorded frames; a frozen, picklable object that other processes can use.

    Raises RegionError, in one line, for what cannot be used.
    """

    def labels(self, cameras: Sequence[str], stamp: int) -> Mapping[str, np.ndarray]:
        """Return the label images of an instant, camera to uint8 or uint16 [H, W]; cameras without one are absent."""

    def describe(self) -> dict[str, Any]:
        """Return what to keep of it for people and for resuming, as JSON, with a ``fingerprint`` of its files."""


@dataclass(frozen=True)
class LabelFiles:
    """Label images and polygon annotations in files.

    ``places``: (camera, path). A path is a PNG or a LabelMe file, which hold at all times; a COCO file; or a directory
    of PNG or LabelMe files that are named by their stamps in nanoseconds. A COCO file's image is found by its name:
    <camera>/<stamp>, or <camera> for all times. ``slop``: a stamp this near will do, s.
    """

    places: tuple[tuple[str, Path], ...]
    names: ClassNames = field(default_factory=ClassNames)
    slop: float = 0.05

    @classmethod
    def of(cls, cameras: Sequence[str], path: Path, names: ClassNames, slop: float) -> LabelFiles:
        """Return what ``path`` has of ``cameras``: a COCO file, or a directory with <camera>.png, .json or <camera>/.

        Raises RegionError when it has nothing of any camera.
        """
        if not path.exists():
            raise RegionError(f"regions '{path}' do not exist")
        if path.is_file():
            if path.suffix != ".json" or not is_coco(path):
                raise RegionError(f"'{path}' is of one camera; name it: --regions CAMERA={path}")
            return cls(tuple((camera, path) for camera in cameras), names, slop)
        places = []
        for camera in cameras:
            candidates = [*(path / f"{camera}{suffix}" for suffix in SUFFIXES), path / camera]
            places += [(camera, each) for each in candidates if each.exists()][:1]
        if not places:
            raise RegionError(
                f"'{path}' holds no regions: need CAMERA.png, CAMERA.json or a directory CAMERA of "
                f"{', '.join(cameras)}"
            )
        return cls(tuple(places), names, slop)

    def labels(self, cameras: Sequence[str], stamp: int) -> Mapping[str, np.ndarray]:
        """See :class:`LabelReader`."""
        found = {}
        for camera, path in self.places:
            labels = self._labels(camera, path, stamp) if camera in cameras else None
            if labels is not None:
                found[camera] = labels
        return found

    def describe(self) -> dict[str, Any]:
        """See :class:`LabelReader`."""
        digest = hashlib.sha256()
        for _, path in self.places:
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                about = file.stat()
                digest.update(f"{file.name} {about.st_size} {about.st_mtime_ns}\n".encode())
        return {
            "files": {camera: str(path) for camera, path in self.places},
            "robot names": list(self.names.robot),
            "object names": list(self.names.objects),
            "labels": [self.names.robot_label, self.names.object_label],
            "fingerprint": digest.hexdigest()[:16],
        }

    def _labels(self, camera: str, path: Path, stamp: int) -> np.ndarray | None:
        if path.is_dir():
            nearest = _nearest(_stamped_files(path), stamp, self.slop)
            return None if nearest is None else self._file(camera, nearest)
        if path.suffix == ".json" and is_coco_cached(path):
            return self._coco(camera, path, stamp)
        return self._file(camera, path)

    def _file(self, camera: str, path: Path) -> np.ndarray:
        if path.suffix == ".json":
            return labelme_labels(path, self.names)
        return read_labels(path, camera)

    def _coco(self, camera: str, path: Path, stamp: int) -> np.ndarray | None:
        stamped = tuple(
            sorted(
                (int(Path(stem).name), Path(stem))
                for stem in coco_stems(path)
                if Path(stem).parent.name == camera and Path(stem).name.isdigit()
            )
        )
        nearest = _nearest(stamped, stamp, self.slop)
        return coco_labels(path, self.names, camera if nearest is None else str(nearest))


@lru_cache(maxsize=16)
def is_coco_cached(path: Path) -> bool:
    """Tell, once for each file, whether it holds COCO annotations."""
    return is_coco(path)


@lru_cache(maxsize=16)
def _stamped_files(directory: Path) -> tuple[tuple[int, Path], ...]:
    """Return (stamp, file) of a directory, in order; raises RegionError when no file is named by a stamp."""
    files = [each for each in directory.iterdir() if each.suffix in SUFFIXES and each.stem.isdigit()]
    if not files:
        raise RegionError(
            f"'{directory}' has no PNG or LabelMe file that is named by its stamp in nanoseconds"
        )
    return tuple(sorted((int(each.stem), each) for each in files))


def _nearest(stamped: Sequence[tuple[int, Path]], stamp: int, slop: float) -> Path | None:
    place = bisect_left(stamped, stamp, key=lambda each: each[0])
    around = stamped[max(0, place - 1) : place + 1]
    nearest = min(around, key=lambda each: abs(each[0] - stamp), default=None)
    if nearest is None or abs(nearest[0] - stamp) > slop * 1e9:
        return None
    return nearest[1]
