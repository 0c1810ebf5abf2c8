# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
import pickle

import cv2
import numpy as np
import pytest

from vla_iss_ros.regions.label_images import RegionError
from vla_iss_ros.regions.polygons import ClassNames, labelme_labels
from vla_iss_ros.regions.recorded import LabelFiles

NAMES = ClassNames(robot_label=7, object_label=9)
SQUARE = [[2, 1], [5, 1], [5, 4], [2, 4]]


def expected(label: int = 7) -> np.ndarray:
    labels = np.zeros((6, 8), np.uint16)
    labels[1:5, 2:6] = label
    return labels


def write_png(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((6, 8), value, np.uint8))


def write_labelme(path, **changes):
    shape = {"label": "Gripper", "points": SQUARE, "shape_type": "polygon"}
    content = {"imageHeight": 6, "imageWidth": 8, "shapes": [shape], **changes}
    path.write_text(json.dumps(content))
    return path


def write_coco(path, files, segmentation):
    content = {
        "images": [
            {"id": index, "file_name": name, "height": 6, "width": 8} for index, name in enumerate(files)
        ],
        "categories": [{"id": 3, "name": "robot"}, {"id": 4, "name": "table"}, {"id": 5, "name": "wall"}],
        "annotations": [
            {"image_id": index, "category_id": 3 + index, "segmentation": segmentation}
            for index in range(len(files))
        ],
    }
    path.write_text(json.dumps(content))
    return path


def test_a_static_png_a_camera(tmp_path):
    write_png(tmp_path / "front.png", 3)
    reader = LabelFiles.of(["front", "wrist"], tmp_path, NAMES, 0.05)
    assert set(reader.labels(["front", "wrist"], 5)) == {"front"}
    assert (reader.labels(["front"], 5)["front"] == 3).all()


def test_files_by_stamp_the_nearest_within_the_slop(tmp_path):
    for stamp in (1_000_000_000, 1_100_000_000):
        write_png(tmp_path / "front" / f"{stamp}.png", stamp // 100_000_000)
    reader = pickle.loads(pickle.dumps(LabelFiles.of(["front"], tmp_path, NAMES, 0.05)))
    assert reader.labels(["front"], 1_060_000_000)["front"][0, 0] == 11
    assert reader.labels(["front"], 1_010_000_000)["front"][0, 0] == 10
    assert reader.labels(["front"], 1_151_000_000) == {}
    assert reader.labels(["front"], 0) == {}


def test_labelme_shapes(tmp_path):
    path = write_labelme(tmp_path / "front.json")
    assert np.array_equal(
        LabelFiles.of(["front"], tmp_path, NAMES, 0).labels(["front"], 0)["front"], expected()
    )
    box = {"label": "table", "points": [[2, 1], [5, 4]], "shape_type": "rectangle"}
    wall = {"label": "wall", "points": SQUARE}
    other = write_labelme(tmp_path / "other.json", shapes=[box])
    assert np.array_equal(labelme_labels(other, NAMES), expected(9))
    covered = write_labelme(tmp_path / "covered.json", shapes=[box, wall])
    assert not labelme_labels(covered, NAMES).any()
    assert path.exists()


@pytest.mark.parametrize(
    "segmentation",
    [
        [[2, 1, 5, 1, 5, 4, 2, 4]],
        {"size": [6, 8], "counts": [13, 4, 2, 4, 2, 4, 2, 4, 13]},
    ],
)
def test_coco_images_by_camera_and_stamp(tmp_path, segmentation):
    path = write_coco(tmp_path / "c.json", ["front/1000.jpg", "data/wrist.jpg"], segmentation)
    reader = LabelFiles.of(["front", "wrist"], path, NAMES, 0)
    found = reader.labels(["front", "wrist"], 1000)
    assert np.array_equal(found["front"], expected())
    assert np.array_equal(found["wrist"], expected(9))
    assert set(reader.labels(["front", "wrist"], 2000)) == {"wrist"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shapes": [{"label": "arm", "points": [[0, 0]]}]}, "shape 'polygon' of 1 points is not an area"),
        ({"shapes": [{"points": SQUARE}]}, "lacks 'label'"),
        ({"imageHeight": 0}, "must have 1 to"),
        ({"shapes": [{"label": "arm", "points": [[0, 0], [1, float("inf")], [2, 2]]}]}, "must be finite"),
    ],
)
def test_bad_annotations_are_refused(tmp_path, changes, reason):
    path = write_labelme(tmp_path / "front.json", **changes)
    with pytest.raises(RegionError, match=reason):
        LabelFiles((("front", path),), NAMES).labels(["front"], 0)


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(RegionError, match="do not exist"):
        LabelFiles.of(["front"], tmp_path / "none", NAMES, 0)
    with pytest.raises(RegionError, match=r"holds no regions: need CAMERA.png"):
        LabelFiles.of(["front"], tmp_path, NAMES, 0)
    (tmp_path / "front").mkdir()
    with pytest.raises(RegionError, match="named by its stamp"):
        LabelFiles.of(["front"], tmp_path, NAMES, 0).labels(["front"], 0)
    coco = write_coco(tmp_path / "c.json", ["front.png"], {"size": [6, 8], "counts": "abc"})
    with pytest.raises(RegionError, match="compressed run lengths are not read"):
        LabelFiles.of(["front"], coco, NAMES, 0).labels(["front"], 0)
