# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from vla_iss_ros.iss.region_map import ACTOR, NUISANCE, SUPPORT, RegionMap

LABELS = np.array([[0, 1], [2, 9]], np.uint16)


def test_labels_become_regions_and_unlisted_ones_nuisance():
    regions = RegionMap.from_labels({"front": LABELS}, actor=[1], support=[2])
    assert regions.views["front"].tolist() == [[NUISANCE, ACTOR], [SUPPORT, NUISANCE]]


def test_nuisance_share_is_area_averaged():
    regions = RegionMap.from_labels({"front": LABELS, "wrist": np.ones((4, 4), np.uint8)}, [1], [2])
    share = regions.nuisance(["wrist", "front"], (1, 1))
    assert share.flatten().tolist() == [0.0, 0.5]
    assert torch.equal(regions.nuisance(["front"], (2, 2))[0], torch.tensor([[1.0, 0.0], [0.0, 1.0]]))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"labels \[1\] are in actor_labels and in support_labels"):
        RegionMap.from_labels({}, actor=[1], support=[1, 2])
    with pytest.raises(ValueError, match=r"must be \[H, W\], got \[0, 3\]"):
        RegionMap({"front": np.zeros((0, 3), np.uint8)})
    with pytest.raises(ValueError, match="unknown value 7"):
        RegionMap({"front": np.full((2, 2), 7, np.uint8)})
    with pytest.raises(KeyError, match="no regions for camera 'wrist'"):
        RegionMap({"front": np.zeros((2, 2), np.uint8)}).nuisance(["wrist"], (2, 2))
