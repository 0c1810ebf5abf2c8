# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Regions from label images, one integer label a pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vla_iss_ros.iss.region_map import RegionMap


class RegionError(ValueError):
    """Labels that cannot be used as regions; one line that names the camera and what is wrong."""


def regions_from_labels(
    labels: Mapping[str, np.ndarray], settings: Any, images: Mapping[str, np.ndarray] | None = None
) -> RegionMap:
    """Return the regions of label images [H, W] (camera name to integers) by actor_labels and support_labels.

    Labels that neither setting names are nuisance. With ``images`` [H, W, 3], the label image of every camera
    there must have that image's aspect ratio (to one pixel), or the two cannot be laid over each other.
    Raises RegionError for other types, shapes or aspect ratios.
    """
    for camera, image in labels.items():
        if image.ndim != 2 or image.size == 0 or not np.issubdtype(image.dtype, np.integer):
            raise RegionError(
                f"labels of camera '{camera}' must be integers [H, W] and not empty, "
                f"got {image.dtype} {list(image.shape)}"
            )
        if images is not None and camera in images:
            _check_aspect_ratio(camera, image.shape, images[camera].shape)
    try:
        return RegionMap.from_labels(labels, settings.actor_labels, settings.support_labels)
    except ValueError as error:
        raise RegionError(str(error)) from error


def _check_aspect_ratio(camera: str, labels: tuple[int, ...], image: tuple[int, ...]) -> None:
    """Compare widths after scaling the label image to the image's height; label images may be coarser."""
    (height, width), (image_height, image_width) = labels[:2], image[:2]
    scale = image_height / height
    if abs(width * scale - image_width) > max(1.0, scale):
        raise RegionError(
            f"labels of camera '{camera}' are {width} x {height} and its image is "
            f"{image_width} x {image_height}; they must have one aspect ratio"
        )
