"""What every policy must offer to be explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from vla_iss_ros.iss.observation import Actions, Observation, Prepared


@dataclass(frozen=True)
class CameraSpec:
    """One camera input: its name, the size (h, w) the network sees and its grid of image tokens, if any."""

    name: str
    input_size: tuple[int, int]
    token_grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class PolicySpec:
    """What a policy takes and gives.

    ``state_mean``: the recorded mean of the state, physical units, or None where none is known.
    ``noise_shape``: shape of one row of sampling noise, or None for a deterministic policy.
    ``shares_noise``: False for a policy that cannot be given its noise; results then carry that fact.
    """

    name: str
    cameras: tuple[CameraSpec, ...]
    horizon: int
    action_names: tuple[str, ...]
    action_units: tuple[str, ...]
    state_names: tuple[str, ...] = ()
    state_mean: tuple[float, ...] | None = None
    noise_shape: tuple[int, ...] | None = None
    shares_noise: bool = True
    weights_hash: str = ""

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Cameras in the policy's own order."""
        return tuple(camera.name for camera in self.cameras)


@runtime_checkable
class Policy(Protocol):
    """A policy whose inputs can be intervened on.

    One method is optional, ``resize(images) -> images``: bring camera name to float32 [N, 3, H, W] in [0, 1] from the
    camera's size to the policy's, as ``preprocess`` does. The setting ``composite_resolution`` = camera needs it.
    """

    spec: PolicySpec
    device: torch.device

    def preprocess(self, observation: Observation) -> Prepared:
        """Turn one observation into the policy's inputs; raises ValueError naming what does not fit."""

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        """Draw one row of sampling noise [1, *noise_shape], or None for a deterministic policy."""

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        """Act on N variants of ``base``: ``images`` [N, 3, h, w] by camera; absent cameras are as in ``base``.

        All rows share ``noise`` [1, ...] (common random numbers).
        """
