# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pictures and maps smaller than the camera's, for thin networks and weak viewers."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2

from vla_iss_ros.iss.region_map import RegionMap


def shrink(result: Any, longer_side: int) -> Any:
    """Return a result whose images and regions are at most ``longer_side`` px; 0 keeps them.

    Everything that is drawn or published takes its size from them. What was explained is not touched.
    """
    images = result.observation.images
    sizes = {camera: _smaller(image.shape[:2], longer_side) for camera, image in images.items()}
    if all(sizes[camera] == image.shape[:2] for camera, image in images.items()):
        return result
    small = {
        camera: cv2.resize(image, sizes[camera][::-1], interpolation=cv2.INTER_AREA)
        for camera, image in images.items()
    }
    regions = result.regions
    if regions is not None:
        views = {
            camera: cv2.resize(view, sizes[camera][::-1], interpolation=cv2.INTER_NEAREST)
            for camera, view in regions.views.items()
        }
        regions = RegionMap(views)
    observation = dataclasses.replace(result.observation, images=small)
    return dataclasses.replace(result, observation=observation, regions=regions)


def _smaller(size: tuple[int, int], longer_side: int) -> tuple[int, int]:
    if longer_side == 0 or max(size) <= longer_side:
        return size
    height, width = (max(1, round(side * longer_side / max(size))) for side in size)
    return height, width
