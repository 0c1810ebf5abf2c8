# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The option that says where a recording's label images come from, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_iss_ros.regions.label_images import RegionError
from vla_iss_ros.regions.polygons import ClassNames, coco_classes, coco_stems, labelme_classes
from vla_iss_ros.regions.recorded import SUFFIXES, LabelFiles, is_coco_cached

NONE = "none"
# Files of a directory whose classes are read before the work starts; there may be one a frame.
MOST_READ = 50


@dataclass(frozen=True)
class Regions:
    """``topics``: camera to label topic, None: those of the bag. ``files``: None where labels come from topics.

    ``declined``: none are wanted.
    """

    topics: Mapping[str, str] | None
    files: LabelFiles | None
    declined: bool = False

    def chosen_topics(self) -> dict[str, Any]:
        """Return the labels of ``BagTopics`` where they are not the bag's own."""
        return {} if self.topics is None else {"labels": self.topics}


def read_regions(
    places: Sequence[str], settings: Any, robot_names: Sequence[str], object_names: Sequence[str]
) -> Regions:
    """Return what the values of ``--regions`` say; raises ValueError (RegionError among them) for bad ones."""
    if not places:
        return Regions(None, None)
    if NONE in places:
        if len(places) > 1:
            raise ValueError(f"--regions none stands alone, got {list(places)}")
        return Regions({}, None, declined=True)
    names = ClassNames(
        tuple(robot_names),
        tuple(object_names),
        (settings.actor_labels or [1])[0],
        (settings.support_labels or [2])[0],
    )
    if len(places) == 1 and "=" not in places[0]:
        return Regions(
            {}, LabelFiles.of(settings.cameras, Path(places[0]).expanduser(), names, settings.sync_slop)
        )
    topics, files = _by_camera(places, settings.cameras)
    return Regions(topics, LabelFiles(tuple(files), names, settings.sync_slop) if files else None)


def _by_camera(
    places: Sequence[str], cameras: Sequence[str]
) -> tuple[dict[str, str], list[tuple[str, Path]]]:
    """Return the topics and the files that values of the form CAMERA=WHERE name, one of both empty."""
    topics: dict[str, str] = {}
    files: list[tuple[str, Path]] = []
    for place in places:
        camera, separator, where = place.partition("=")
        if not separator or not where or camera not in cameras:
            raise ValueError(
                f"--regions must be CAMERA=WHERE with CAMERA one of {', '.join(cameras)}, got '{place}'"
            )
        if camera in topics or camera in dict(files):
            raise ValueError(f"--regions names camera '{camera}' twice; the second one says '{where}'")
        path = Path(where).expanduser()
        if path.exists():
            files.append((camera, path))
        elif where.startswith("/") and path.suffix not in (".png", ".json"):
            topics[camera] = where
        else:
            raise ValueError(
                f"--regions of camera '{camera}': '{where}' is no file, no directory and no topic"
            )
    if topics and files:
        raise ValueError("--regions takes topics or files, not both")
    return topics, files


def check_files(
    files: LabelFiles, settings: Any, say: Callable[[str], object], warn: Callable[[str], object]
) -> list[str]:
    """Open what ``files`` has of each camera, one file of a directory; return the cameras that have regions.

    ``say`` hears which classes of polygons count as what, ``warn`` of those that match neither list of names and of
    labels that are all nuisance. Raises RegionError for a file that cannot be used.
    """
    found = []
    for camera, path in files.places:
        stamps, classes = _contents(camera, path)
        labels = files.labels([camera], stamps[0] if stamps else 0).get(camera)
        if labels is None:
            continue
        found.append(camera)
        if classes is not None:
            _report(camera, classes, files.names, say, warn)
        elif not np.isin(labels, [*settings.actor_labels, *settings.support_labels]).any():
            warn(
                f"regions of {camera}: '{path}' has none of actor_labels {settings.actor_labels} and support_labels "
                f"{settings.support_labels}; all of it counts as nuisance"
            )
    return found


def _report(
    camera: str,
    classes: set[str],
    names: ClassNames,
    say: Callable[[str], object],
    warn: Callable[[str], object],
) -> None:
    robot, objects, others = names.sort(classes)
    say(
        f"regions of {camera}: robot: {', '.join(robot) or 'none'}; objects: {', '.join(objects) or 'none'}; "
        "everything else is nuisance"
    )
    if others:
        warn(
            f"regions of {camera}: {', '.join(others)}: neither in --robot-names ({' '.join(names.robot)}) nor in "
            f"--object-names ({' '.join(names.objects)}); counts as nuisance"
        )


def _contents(camera: str, path: Path) -> tuple[list[int], set[str] | None]:
    """Return a place's stamps of a camera, none for all times, and its classes, None where it has no polygons."""
    if path.is_dir():
        stamped = sorted(
            (int(each.stem), each)
            for each in path.iterdir()
            if each.suffix in SUFFIXES and each.stem.isdigit()
        )
        return [stamp for stamp, _ in stamped], _classes_of([file for _, file in stamped])
    if path.suffix != ".json":
        return [], None
    if not is_coco_cached(path):
        return [], labelme_classes(path)
    stems = [stem for stem in coco_stems(path) if camera in (Path(stem).name, Path(stem).parent.name)]
    stamps = sorted(int(Path(stem).name) for stem in stems if Path(stem).name.isdigit())
    return stamps, coco_classes(path, stems)


def _classes_of(files: Sequence[Path]) -> set[str] | None:
    """Return the classes of LabelMe files, of some of them where they are many; None where there are none.

    One that is broken is left out: the analysis counts it.
    """
    polygons = [file for file in files if file.suffix == ".json"]
    if not polygons:
        return None
    classes: set[str] = set()
    for file in polygons[:: -(-len(polygons) // MOST_READ)]:
        with suppress(RegionError):
            classes |= labelme_classes(file)
    return classes
