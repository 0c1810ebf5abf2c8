# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Policies whose causes are known, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from vla_iss_ros.iss.observation import Actions, Observation, Prepared


class ToyPolicy:
    """Acts by a function of its images [N, V, 3, h, w] -> [N, T, A]; counts the rows that it ran."""

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        cameras: tuple[str, ...] = ("front", "wrist"),
        noise_shape: tuple[int, ...] | None = None,
        content: Mapping[str, tuple[int, int, int, int]] | None = None,
    ) -> None:
        self.function = function
        self.device = torch.device("cpu")
        self.cameras = cameras
        self.noise_shape = noise_shape
        self.content = dict(content or {})
        self.spec = SimpleNamespace(shares_noise=True, state_mean=None, camera_names=cameras)
        self.batches: list[int] = []

    def preprocess(self, observation: Observation) -> Prepared:
        images = {
            name: torch.from_numpy(observation.images[name]).permute(2, 0, 1)[None].float() / 255
            for name in self.cameras
        }
        return Prepared(images, {}, self.content)

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        return None if self.noise_shape is None else torch.randn(1, *self.noise_shape, generator=generator)

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        count = max((len(rows) for rows in images.values()), default=1)
        self.batches.append(count)
        views = [images.get(name, picture).expand(count, -1, -1, -1) for name, picture in base.images.items()]
        actions = self.function(torch.stack(views, 1))
        if noise is not None:
            actions = actions * (1 + noise)
        return Actions(actions, actions)


def observe(
    seed: int, size: int = 28, cameras: tuple[str, ...] = ("front", "wrist"), stamp: int = 1
) -> Observation:
    """Return an observation of random pixels."""
    rng = np.random.default_rng(seed)
    images = {name: rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for name in cameras}
    return Observation(images, "press the button", None, stamp)


def reads_cell(view: int, row: int, column: int, grid: int = 7) -> Callable[[Tensor], Tensor]:
    """Return a function that depends on the inner pixels of one cell only."""

    def function(images: Tensor) -> Tensor:
        side = images.shape[-1] // grid
        middle = slice(row * side + side // 4, (row + 1) * side - side // 4)
        across = slice(column * side + side // 4, (column + 1) * side - side // 4)
        return images[:, view, :, middle, across].mean((2, 3))[:, None, :]

    return function
