# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Label images from polygon annotations: LabelMe and COCO JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vla_iss_ros.regions.label_images import RegionError

ROBOT_NAMES = ("robot", "arm", "gripper", "hand", "end_effector", "act")
OBJECT_NAMES = ("object", "target", "table", "support", "sup")
MOST_PIXELS = 64_000_000


@dataclass(frozen=True)
class ClassNames:
    """Which class names of annotations are the robot and which the task's objects; all others are nuisance.

    ``robot_label`` and ``object_label``: what they become in a label image. Names are compared without case.
    """

    robot: tuple[str, ...] = ROBOT_NAMES
    objects: tuple[str, ...] = OBJECT_NAMES
    robot_label: int = 1
    object_label: int = 2

    def label(self, name: str) -> int:
        """Return the label of a class, 0 for nuisance."""
        plain = name.strip().lower()
        if plain in {each.lower() for each in self.robot}:
            return self.robot_label
        return self.object_label if plain in {each.lower() for each in self.objects} else 0

    def sort(self, classes: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
        """Return the classes that are the robot, those that are objects, and the others, each once and in order."""
        labels = {name: self.label(name) for name in sorted(set(classes))}
        robot = [name for name, label in labels.items() if label == self.robot_label]
        objects = [name for name, label in labels.items() if label == self.object_label]
        return robot, objects, [name for name in labels if name not in (*robot, *objects)]


def is_coco(path: Path) -> bool:
    """Tell whether a JSON file holds COCO annotations."""
    return "annotations" in _read(path)


@lru_cache(maxsize=64)
def labelme_labels(path: Path, names: ClassNames) -> np.ndarray:
    """Return the label image of a LabelMe file, uint16 [imageHeight, imageWidth]; later shapes cover earlier ones.

    Polygons, rectangles and circles are read. Raises RegionError for anything else.
    """
    content = _read(path)
    try:
        labels = _empty(path, int(content["imageHeight"]), int(content["imageWidth"]))
        for shape in content["shapes"]:
            points = np.asarray(shape["points"], np.float64).reshape(-1, 2)
            kind = shape.get("shape_type") or "polygon"
            _draw(labels, kind, points, names.label(str(shape["label"])), path)
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(path, "LabelMe", error) from error
    labels.setflags(write=False)
    return labels


def labelme_classes(path: Path) -> set[str]:
    """Return the classes of a LabelMe file's shapes; raises RegionError where it is none."""
    try:
        return {str(shape["label"]) for shape in _read(path)["shapes"]}
    except (KeyError, TypeError) as error:
        raise _refused(path, "LabelMe", error) from error


def coco_labels(path: Path, names: ClassNames, file_stem: str) -> np.ndarray | None:
    """Return the label image of the COCO image whose file_name, without suffix, is ``file_stem`` or ends in it.

    None where the file has no such image. Segmentations are polygons or uncompressed run lengths.
    """
    images, annotations, classes = _coco(path)
    for stem, image in images.items():
        if stem == file_stem or stem.endswith(f"/{file_stem}"):
            return _coco_image(path, image, annotations.get(image["id"], ()), classes, names)
    return None


def coco_stems(path: Path) -> tuple[str, ...]:
    """Return the file names of a COCO file's images, without suffix."""
    return tuple(_coco(path)[0])


def coco_classes(path: Path, stems: Iterable[str]) -> set[str]:
    """Return the classes that are annotated in the images ``stems`` (file names without suffix) of a COCO file."""
    images, annotations, classes = _coco(path)
    try:
        return {
            classes[annotation["category_id"]]
            for stem in stems
            for annotation in annotations.get(images[stem]["id"], ())
        }
    except (KeyError, TypeError) as error:
        raise _refused(path, "COCO", error) from error


def _coco_image(
    path: Path,
    image: Mapping[str, Any],
    annotations: Sequence[Mapping[str, Any]],
    classes: Mapping[int, str],
    names: ClassNames,
) -> np.ndarray:
    try:
        labels = _empty(path, int(image["height"]), int(image["width"]))
        for annotation in annotations:
            label = names.label(classes[annotation["category_id"]])
            segmentation = annotation["segmentation"]
            if isinstance(segmentation, Mapping):
                labels[_run_lengths(segmentation, labels.shape)] = label
                continue
            for polygon in segmentation:
                _draw(labels, "polygon", np.asarray(polygon, np.float64).reshape(-1, 2), label, path)
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(path, "COCO", error) from error
    return labels


@lru_cache(maxsize=8)
def _coco(
    path: Path,
) -> tuple[dict[str, Mapping[str, Any]], dict[int, list[Mapping[str, Any]]], dict[int, str]]:
    """Return images by file name without suffix, annotations by image, and class names."""
    content = _read(path)
    try:
        images = {str(Path(image["file_name"]).with_suffix("")): image for image in content["images"]}
        classes = {category["id"]: str(category["name"]) for category in content["categories"]}
        annotations: dict[int, list[Mapping[str, Any]]] = {}
        for annotation in content["annotations"]:
            annotations.setdefault(annotation["image_id"], []).append(annotation)
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(path, "COCO", error) from error
    return images, annotations, classes


def _run_lengths(segmentation: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return bool [H, W] from COCO's uncompressed run lengths: down the columns, zeros first."""
    counts = segmentation["counts"]
    if isinstance(counts, str):
        raise ValueError("compressed run lengths are not read; export polygons or uncompressed run lengths")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    if len(flat) != shape[0] * shape[1]:
        raise ValueError(f"run lengths cover {len(flat)} pixels of {shape[0] * shape[1]}")
    return flat.reshape(shape, order="F")


def _draw(labels: np.ndarray, kind: str, points: np.ndarray, label: int, path: Path) -> None:
    if not np.isfinite(points).all() or np.abs(points).max(initial=0) > 1e6:
        raise ValueError(f"points must be finite pixels, got {points.tolist()[:4]}")
    corners = np.rint(points).astype(np.int32)
    if kind == "polygon" and len(corners) >= 3:
        cv2.fillPoly(labels, [corners], label)
    elif kind == "rectangle" and len(corners) == 2:
        cv2.rectangle(labels, corners[0].tolist(), corners[1].tolist(), label, -1)
    elif kind == "circle" and len(corners) == 2:
        radius = round(float(np.linalg.norm(points[1] - points[0])))
        cv2.circle(labels, corners[0].tolist(), radius, label, -1)
    else:
        raise ValueError(f"shape '{kind}' of {len(points)} points is not an area")


def _empty(path: Path, height: int, width: int) -> np.ndarray:
    if height < 1 or width < 1 or height * width > MOST_PIXELS:
        raise ValueError(f"the image must have 1 to {MOST_PIXELS} pixels, got {height} x {width}")
    return np.zeros((height, width), np.uint16)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RegionError(f"cannot read annotations from '{path}': {error}") from error
    if not isinstance(content, dict):
        raise RegionError(
            f"annotations in '{path}' must be LabelMe or COCO JSON, got a {type(content).__name__}"
        )
    return content


def _refused(path: Path, kind: str, error: Exception) -> RegionError:
    what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
    return RegionError(f"'{path}' is no {kind} annotation: {what}")
