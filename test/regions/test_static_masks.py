# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fixed label images."""

import cv2
import numpy as np
import pytest

from vla_iss_ros.regions.label_images import RegionError
from vla_iss_ros.regions.static_masks import load_static_labels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_camera_has_its_file(tmp_path, dtype):
    labels = {"front": np.array([[0, 1]], dtype), "wrist": np.array([[2], [3]], dtype)}
    for camera, image in labels.items():
        cv2.imwrite(str(tmp_path / f"{camera}.png"), image)
    loaded = load_static_labels(tmp_path, ["front", "wrist"])
    for camera, image in labels.items():
        assert loaded[camera].dtype == dtype
        np.testing.assert_array_equal(loaded[camera], image)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (None, "cannot read the labels of camera 'front' from '.*front.png'"),
        (b"", "are not a readable PNG"),
        (b"junk", "are not a readable PNG"),
        (
            cv2.imencode(".png", np.zeros((2, 3, 3), np.uint8))[1].tobytes(),
            r"grey PNG .* got uint8 \[2, 3, 3\]",
        ),
    ],
)
def test_bad_files_are_named(tmp_path, content, shown):
    if content is not None:
        (tmp_path / "front.png").write_bytes(content)
    with pytest.raises(RegionError, match=shown):
        load_static_labels(tmp_path, ["front"])
