"""The option that says where a recording's label images come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_iss_ros.regions.polygons import ClassNames
from vla_iss_ros.regions.recorded import LabelFiles

NONE = "none"


@dataclass(frozen=True)
class Regions:
    """``topics``: camera to label topic, None: those of the bag. ``files``: None where labels come from topics."""

    topics: Mapping[str, str] | None
    files: LabelFiles | None

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
        return Regions({}, None)
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
    topics: dict[str, str] = {}
    files: list[tuple[str, Path]] = []
    for place in places:
        camera, separator, where = place.partition("=")
        if not separator or not where or camera not in settings.cameras:
            raise ValueError(
                f"--regions must be CAMERA=WHERE with CAMERA one of {', '.join(settings.cameras)}, got '{place}'"
            )
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
    return Regions(topics, LabelFiles(tuple(files), names, settings.sync_slop) if files else None)
