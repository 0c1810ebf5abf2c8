# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass

import numpy as np
import pytest

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.ros.shrinking import shrink


@dataclass(frozen=True)
class Result:
    observation: Observation
    regions: RegionMap | None = None


def result(regions=True):
    rng = np.random.default_rng(0)
    images = {
        "front": rng.integers(0, 256, (480, 640, 3), np.uint8),
        "wrist": np.zeros((90, 160, 3), np.uint8),
    }
    views = {"front": np.repeat(np.array([[0, 2]], np.uint8), 320, 1).repeat(480, 0)}
    return Result(Observation(images, "press", None, 1), RegionMap(views) if regions else None)


@pytest.mark.parametrize("side", [0, 640, 16384])
def test_what_is_small_enough_is_kept_as_it_is(side):
    given = result()
    assert shrink(given, side) is given


def test_pictures_and_regions_shrink_and_keep_their_shape():
    small = shrink(result(), 320)
    assert {name: image.shape for name, image in small.observation.images.items()} == {
        "front": (240, 320, 3),
        "wrist": (90, 160, 3),
    }
    view = small.regions.views["front"]
    assert view.shape == (240, 320)
    assert np.unique(view[:, :160]).tolist() == [0]
    assert np.unique(view[:, 160:]).tolist() == [2]
    assert shrink(result(regions=False), 320).regions is None
