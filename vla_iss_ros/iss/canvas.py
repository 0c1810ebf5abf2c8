# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What interventions are painted on: one frame, what its replaced cells show, and at which size both are mixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss import interventions
from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.observation import Observation, Prepared

Resize = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


class Canvas:
    """Paints interventions on one frame.

    ``images``: camera name to float32 [1, 3, h, w]. ``pictures``: camera name to float32 [D, 3, h, w]. ``cells`` lie
    over ``images``. ``resize`` brings painted images to the policy's size where they are not at it.
    """

    def __init__(
        self,
        images: Mapping[str, Tensor],
        pictures: Mapping[str, Tensor],
        cells: CellGrid,
        quantise: bool,
        resize: Resize | None = None,
    ) -> None:
        self._images, self._quantise, self._resize = images, quantise, resize
        self._differences = {name: pictures[name] - image for name, image in images.items()}
        self._spread = cells.spread(next(iter(images.values())).device)

    def paint(self, replaced: Tensor, chosen: Tensor) -> Mapping[str, Tensor]:
        """Return camera name to float32 [N, 3, h, w] at the policy's size.

        ``replaced`` bool [N, C] and ``chosen`` int64 [N] are on the frame's device. Rows without a replaced cell
        show the frame as it is.
        """
        coverage = self._spread(replaced)
        painted = {
            name: interventions.composite(
                image, self._differences[name], chosen, coverage[name], self._quantise
            )
            for name, image in self._images.items()
        }
        return painted if self._resize is None else self._resize(painted)


class PolicySize:
    """Mixes at the size that the policy sees: far fewer pixels than a camera has."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def canvas(
        self, observation: Observation, base: Prepared, cells: CellGrid, pictures: Mapping[str, Tensor]
    ) -> Canvas:
        """Return the canvas of ``base``."""
        return Canvas(base.images, pictures, cells, self._settings.quantise)


class CameraSize:
    """Mixes at the camera's own size and lets the policy's resize bring the result down.

    ``policy`` needs the optional method ``resize``. Donor frames are kept at the camera's size for this, and only
    for this. Raises ValueError when the policy cannot resize.
    """

    def __init__(self, policy: Any, settings: Any, donors: Sequence[Observation]) -> None:
        refuse_camera_size(policy)
        self._policy, self._settings = policy, settings
        donor = None
        if settings.baseline == "donor":
            whole = [self._whole(donor) for donor in donors]
            donor = interventions.Donor(whole, [donor.instruction for donor in donors])
        self._baseline = interventions.make_baseline(settings, donor)

    def canvas(
        self, observation: Observation, base: Prepared, cells: CellGrid, pictures: Mapping[str, Tensor]
    ) -> Canvas:
        """Return the canvas of ``observation``; raises ValueError when donor frames have another size."""
        whole = self._whole(observation)
        return Canvas(
            whole.images,
            self._baseline.pictures(whole, observation.instruction),
            CellGrid.over(whole, cells.rows, cells.stitched),
            self._settings.quantise,
            self._policy.resize,
        )

    def _whole(self, observation: Observation) -> Prepared:
        return Prepared(
            {
                name: pixels_of(observation.images[name], self._policy.device)
                for name in self._policy.spec.camera_names
            }
        )


def refuse_camera_size(policy: Any) -> None:
    """Raise ValueError when ``policy`` cannot bring images of the camera's size to its own."""
    if not hasattr(policy, "resize"):
        raise ValueError(
            f"composite_resolution camera needs a policy with a method resize and {type(policy).__name__} has none; "
            "set composite_resolution to policy"
        )


def pixels_of(image: Any, device: torch.device) -> Tensor:
    """Return a camera image uint8 [H, W, 3] as float32 [1, 3, H, W] in [0, 1] on ``device``."""
    # Turned over while a number is one byte.
    return torch.from_numpy(image).to(device).permute(2, 0, 1)[None].contiguous().to(torch.float32).div_(255)
