# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Regions from label images."""

import numpy as np
import pytest

from vla_iss_ros.iss.region_map import ACTOR, NUISANCE, SUPPORT
from vla_iss_ros.regions.label_images import RegionError, regions_from_labels
from vla_iss_ros.settings import check

SETTINGS = check({})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_default_labels(dtype):
    regions = regions_from_labels({"front": np.array([[0, 1], [2, 3], [4, 99]], dtype)}, SETTINGS)
    wanted = [[NUISANCE, ACTOR], [SUPPORT, SUPPORT], [NUISANCE, NUISANCE]]
    assert regions.views["front"].tolist() == wanted


def test_labels_of_the_settings():
    settings = check({"actor_labels": [7], "support_labels": [300]})
    regions = regions_from_labels(
        {"a": np.array([[7, 300, 1]], np.uint16), "b": np.array([[7]], np.uint8)}, settings
    )
    assert regions.views["a"].tolist() == [[ACTOR, SUPPORT, NUISANCE]]
    assert regions.views["b"].tolist() == [[ACTOR]]


@pytest.mark.parametrize(
    "labels", [np.zeros((2, 2), np.float32), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2), np.uint8)]
)
def test_what_is_not_a_label_image_is_refused(labels):
    with pytest.raises(RegionError, match="labels of camera 'front' must be integers"):
        regions_from_labels({"front": labels}, SETTINGS)


@pytest.mark.parametrize("shape", [(48, 64), (24, 32), (3, 4), (96, 128), (33, 44), (7, 9)])
def test_label_images_may_have_another_size(shape):
    image = np.zeros((48, 64, 3), np.uint8)
    regions_from_labels({"front": np.zeros(shape, np.uint8)}, SETTINGS, {"front": image})


@pytest.mark.parametrize("shape", [(64, 48), (48, 48), (48, 70)])
def test_another_aspect_ratio_is_refused(shape):
    image = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(RegionError, match=rf"'front' are {shape[1]} x {shape[0]} and its image is 64 x 48"):
        regions_from_labels({"front": np.zeros(shape, np.uint8)}, SETTINGS, {"front": image})
