# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the policy saw at one instant, and what it answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vla_iss_ros.iss.distributions import Distribution


@dataclass(frozen=True)
class Observation:
    """One instant as the robot sent it.

    ``images``: camera name to uint8 [H, W, 3] RGB, at the camera's own size. ``state``: float32 [S] in the physical
    units that the policy expects, or None where the policy takes none. ``stamp``: nanoseconds of the acquisition.
    """

    images: Mapping[str, np.ndarray]
    instruction: str = ""
    state: np.ndarray | None = None
    stamp: int = 0

    def __post_init__(self) -> None:
        for camera, image in self.images.items():
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
                raise ValueError(
                    f"image of camera '{camera}' must be uint8 [H, W, 3] and not empty, "
                    f"got {image.dtype} {list(image.shape)}"
                )
        if self.state is not None and not np.isfinite(self.state).all():
            raise ValueError(f"state must be finite, got {self.state.tolist()}")


@dataclass(frozen=True)
class Prepared:
    """One observation as the policy takes it, one row, on the policy's device.

    ``images``: camera name to float32 [1, 3, h, w] in [0, 1] at the policy's own input size, before its
    normalisation. ``inputs``: everything else the policy needs (words, state), opaque to the method. ``content``:
    camera name to (top, left, height, width), the part of the input that shows the camera's image where padding
    surrounds it; cameras that are absent fill their input. ``words``: the instruction's, where the policy tells them.
    """

    images: Mapping[str, Tensor]
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    content: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Actions:
    """What the policy answered to N rows.

    ``normalised``: float32 [N, T, A] in the policy's normalised action units; divergences compare these.
    ``physical``: float32 [N, T, A] in the units of ``PolicySpec.action_units``. ``distribution``: what the policy says
    besides, where it was asked (``policies.protocol.PathPolicy``).
    """

    normalised: Tensor
    physical: Tensor
    distribution: Distribution | None = None

    def __post_init__(self) -> None:
        if self.normalised.ndim != 3 or self.normalised.shape != self.physical.shape:
            raise ValueError(
                f"actions must be two tensors [N, T, A] of one shape, got {list(self.normalised.shape)} "
                f"and {list(self.physical.shape)}"
            )

    def take(self, rows: slice) -> Actions:
        """Return the answers to some rows, float32 whatever the precision was inside the policy."""
        distribution = None if self.distribution is None else self.distribution.take(rows)
        return Actions(self.normalised[rows].float(), self.physical[rows].float(), distribution)

    def require_finite(self) -> None:
        """Raise ValueError when any action is NaN or infinite; a divergence of those would mean nothing."""
        bad = int((~torch.isfinite(self.normalised)).sum())
        if bad:
            raise ValueError(
                f"policy returned {bad} actions that are not finite; check its weights and the preprocessing"
            )
