# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which of the regions act, sup and nuis every position of every view belongs to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

NUISANCE = 0
ACTOR = 1
SUPPORT = 2
NAMES = {NUISANCE: "nuis", ACTOR: "act", SUPPORT: "sup"}


@dataclass(frozen=True)
class RegionMap:
    """Regions of all views of one observation.

    ``views``: camera name to uint8 [H, W] of NUISANCE, ACTOR (robot arm, end effector) or SUPPORT (the task's
    objects and what they stand on), at any size that has the camera's aspect ratio.
    """

    views: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        for camera, regions in self.views.items():
            if regions.ndim != 2 or regions.size == 0:
                raise ValueError(f"regions of camera '{camera}' must be [H, W], got {list(regions.shape)}")
            if int(regions.max()) > SUPPORT:
                raise ValueError(f"regions of camera '{camera}' hold the unknown value {int(regions.max())}")

    @classmethod
    def from_labels(
        cls, labels: Mapping[str, np.ndarray], actor: Collection[int], support: Collection[int]
    ) -> RegionMap:
        """Translate integer label images [H, W] by table; labels in neither collection are nuisance."""
        both = set(actor) & set(support)
        if both:
            raise ValueError(
                f"labels {sorted(both)} are in actor_labels and in support_labels; name each once"
            )
        views = {}
        for camera, image in labels.items():
            regions = np.full(image.shape, NUISANCE, np.uint8)
            regions[np.isin(image, list(support))] = SUPPORT
            regions[np.isin(image, list(actor))] = ACTOR
            views[camera] = regions
        return cls(views)

    def nuisance(self, cameras: Collection[str], size: tuple[int, int]) -> Tensor:
        """Return the nuisance share of each position, float32 [V, h, w], every view area-averaged to ``size``.

        Raises KeyError when a camera has no regions.
        """
        shares = []
        for camera in cameras:
            if camera not in self.views:
                raise KeyError(f"no regions for camera '{camera}'; have {sorted(self.views)}")
            share = torch.from_numpy((self.views[camera] == NUISANCE).astype(np.float32))[None, None]
            # Averages of ones are rounded, some above 1.
            shares.append(functional.interpolate(share, size=size, mode="area")[0, 0].clamp_(0, 1))
        return torch.stack(shares)
