# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest

from vla_iss_ros.cli.region_options import check_files, read_regions
from vla_iss_ros.regions.label_images import RegionError
from vla_iss_ros.settings import check

SETTINGS = check({})


def read(*places):
    return read_regions(places, SETTINGS, ["robot"], ["cup"])


def checked(*places):
    """Return the cameras that have regions, what is said, and what is warned of."""
    said, warned = [], []
    regions = read_regions(places, SETTINGS, ["robot", "panda"], ["cup"])
    return check_files(regions.files, SETTINGS, said.append, warned.append), said, warned


def write_labelme(path, *classes):
    path.parent.mkdir(exist_ok=True)
    shapes = [{"label": name, "points": [[0, 0], [3, 0], [3, 3]]} for name in classes]
    path.write_text(json.dumps({"imageHeight": 6, "imageWidth": 8, "shapes": shapes}))
    return path


def write_coco(path, *files):
    images = [{"id": n, "file_name": name, "height": 6, "width": 8} for n, name in enumerate(files)]
    annotations = [{"image_id": n, "category_id": n, "segmentation": []} for n in range(len(files))]
    categories = [{"id": n, "name": name} for n, name in enumerate(("panda", "cup", "cloth"))]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_topics_files_and_none(tmp_path):
    (tmp_path / "front.png").write_bytes(b"x")
    assert read().chosen_topics() == {}
    assert read("none").chosen_topics() == {"labels": {}}
    assert read("front=/seg", "wrist=/seg2").topics == {"front": "/seg", "wrist": "/seg2"}
    static = read(f"front={tmp_path / 'front.png'}")
    assert static.files.places == (("front", tmp_path / "front.png"),)
    assert static.files.names.objects == ("cup",)
    assert read(str(tmp_path)).files.places == (("front", tmp_path / "front.png"),)


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        (["side=/seg"], "CAMERA one of front, wrist"),
        (["front=", "wrist=/a"], "must be CAMERA=WHERE"),
        (["front=missing.png"], "is no file, no directory and no topic"),
        (["none", "front=/a"], "stands alone"),
        (["front=/a", "front=/b"], "names camera 'front' twice; the second one says '/b'"),
    ],
)
def test_bad_places_are_refused(places, reason):
    with pytest.raises(ValueError, match=reason):
        read(*places)


def test_the_classes_of_polygons_are_said_and_unknown_ones_warned_of(tmp_path):
    path = write_labelme(tmp_path / "front.json", "Panda", "robot", "cup", "cloth", "wall")
    cameras, said, warned = checked(f"front={path}")
    assert cameras == ["front"]
    assert said == ["regions of front: robot: Panda, robot; objects: cup; everything else is nuisance"]
    assert warned == [
        "regions of front: cloth, wall: neither in --robot-names (robot panda) nor in --object-names (cup); "
        "counts as nuisance"
    ]
    _, said, warned = checked(f"front={write_labelme(tmp_path / 'b.json', 'cup')}")
    assert said == ["regions of front: robot: none; objects: cup; everything else is nuisance"]
    assert warned == []


def test_classes_of_a_directory_come_from_many_of_its_files(tmp_path):
    for stamp in range(200):
        write_labelme(tmp_path / "front" / f"{stamp}.json", "panda" if stamp < 100 else "cloth")
    (tmp_path / "front" / "150.json").write_text("{")
    cameras, said, warned = checked(f"front={tmp_path / 'front'}")
    assert cameras == ["front"]
    assert said == ["regions of front: robot: panda; objects: none; everything else is nuisance"]
    assert warned[0].startswith("regions of front: cloth: neither in --robot-names")


def test_a_coco_file_is_told_camera_by_camera(tmp_path):
    cameras, said, warned = checked(str(write_coco(tmp_path / "c.json", "front/7.png", "wrist.png")))
    assert cameras == ["front", "wrist"]
    assert [line.split(";")[0] for line in said] == [
        "regions of front: robot: panda",
        "regions of wrist: robot: none",
    ]
    assert warned == []
    assert checked(str(write_coco(tmp_path / "d.json", "front/7.png")))[0] == ["front"]


def test_a_label_image_of_nuisance_alone_is_warned_of(tmp_path):
    for name, value in (("a", 1), ("b", 200)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((6, 8), value, np.uint8))
    assert checked(f"front={tmp_path / 'a.png'}") == (["front"], [], [])
    (warned,) = checked(f"front={tmp_path / 'b.png'}")[2]
    assert "has none of actor_labels [1] and support_labels [2, 3]; all of it counts as nuisance" in warned


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.png", cv2.imencode(".png", np.zeros((2, 3, 3), np.uint8))[1].tobytes(), "must be a grey PNG"),
        ("b.json", b"{", "cannot read annotations from '.*b.json'"),
        ("c.json", b'{"shapes": []}', "is no LabelMe annotation: lacks 'imageHeight'"),
        ("empty/readme.txt", b"", "empty' has no PNG or LabelMe file that is named by its stamp"),
        ("stamped/5.png", b"x", "stamped/5.png' are not a readable PNG"),
    ],
)
def test_files_that_cannot_be_used_are_found_before_the_work(tmp_path, name, content, reason):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    place = path if path.parent == tmp_path else path.parent
    with pytest.raises(RegionError, match=reason):
        checked(f"front={place}")
