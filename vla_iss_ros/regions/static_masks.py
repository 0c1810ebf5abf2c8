# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fixed label images, one PNG a camera, for cameras and scenes that do not move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from vla_iss_ros.regions.label_images import RegionError


def load_static_labels(directory: Path, cameras: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Return the label images ``directory``/<camera>.png, camera name to uint8 or uint16 [H, W].

    Raises RegionError when a file is missing, not a PNG, or not of one channel.
    """
    return {camera: read_labels(directory / f"{camera}.png", camera) for camera in cameras}


def read_labels(path: Path, camera: str) -> np.ndarray:
    """Return the label image in a PNG, uint8 or uint16 [H, W]; raises RegionError when it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RegionError(
            f"cannot read the labels of camera '{camera}' from '{path}': {error.strerror}"
        ) from error
    labels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if labels is None:
        raise RegionError(f"labels of camera '{camera}' in '{path}' are not a readable PNG")
    if labels.ndim != 2 or labels.dtype not in (np.uint8, np.uint16):
        raise RegionError(
            f"labels of camera '{camera}' in '{path}' must be a grey PNG of 8 or 16 bits, "
            f"got {labels.dtype} {list(labels.shape)}"
        )
    return labels
