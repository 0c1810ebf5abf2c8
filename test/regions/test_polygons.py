# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Classes of polygon annotations."""

import json

import pytest

from vla_iss_ros.regions.label_images import RegionError
from vla_iss_ros.regions.polygons import ClassNames, coco_classes, labelme_classes


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_classes_are_told_apart_by_the_names():
    names = ClassNames(robot=("Panda", "gripper"), objects=("mug",))
    sorted_out = names.sort(["mug", "gripper", "cloth", "panda", "mug", " Gripper "])
    assert sorted_out == ([" Gripper ", "gripper", "panda"], ["mug"], ["cloth"])
    assert names.sort([]) == ([], [], [])


def test_classes_of_a_labelme_file(tmp_path):
    path = write(tmp_path / "a.json", {"shapes": [{"label": "mug"}, {"label": "arm"}, {"label": "mug"}]})
    assert labelme_classes(path) == {"mug", "arm"}
    assert labelme_classes(write(tmp_path / "b.json", {"shapes": []})) == set()
    for name, content in (("c", {"other": 1}), ("d", {"shapes": [{"points": []}]}), ("e", {"shapes": None})):
        with pytest.raises(RegionError, match=f"{name}.json' is no LabelMe annotation"):
            labelme_classes(write(tmp_path / f"{name}.json", content))


def test_classes_of_a_cameras_coco_images(tmp_path):
    content = {
        "images": [{"id": 1, "file_name": "front/10.png"}, {"id": 2, "file_name": "wrist.png"}],
        "categories": [{"id": 3, "name": "arm"}, {"id": 4, "name": "mug"}],
        "annotations": [{"image_id": 1, "category_id": 3}, {"image_id": 2, "category_id": 4}],
    }
    path = write(tmp_path / "coco.json", content)
    assert coco_classes(path, ["front/10"]) == {"arm"}
    assert coco_classes(path, ["front/10", "wrist"]) == {"arm", "mug"}
    content["annotations"][0]["category_id"] = 9
    with pytest.raises(RegionError, match="is no COCO annotation: lacks 9"):
        coco_classes(write(tmp_path / "odd.json", content), ["front/10"])
