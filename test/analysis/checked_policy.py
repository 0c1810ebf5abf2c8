# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy that passes every check, to be broken in one way at a time."""

from __future__ import annotations

import numpy as np
import torch

from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.policies.protocol import CameraSpec, PolicySpec
from vla_iss_ros.policies.resizing import Resize

BOX = (2, 0, 12, 16)


def see(seed: int = 0, size: tuple[int, int] = (120, 160)) -> Observation:
    """Return a random picture in 6 x 8 blocks; the scene, the instruction and the state differ from seed to seed."""
    rng = np.random.default_rng(seed)
    blocks = np.ones((size[0] // 6, size[1] // 8, 1), np.uint8)
    images = {
        name: np.kron(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), blocks) for name in ("front", "wrist")
    }
    return Observation(images, f"do task {seed}", rng.normal(size=2).astype(np.float32), seed)


class CheckedPolicy:
    """Two letterboxed cameras, a state, an instruction and noise, all of which move a chunk [N, 2, 3]."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.resize_rule = Resize((16, 16), "letterbox", BOX, 0.5)
        cameras = tuple(CameraSpec(name, (16, 16)) for name in ("front", "wrist"))
        self.spec = PolicySpec(
            name="checked",
            cameras=cameras,
            horizon=2,
            action_names=("x", "y", "z"),
            action_units=("m", "m", "m"),
            state_names=("a", "b"),
            state_mean=(0.0, 0.0),
            noise_shape=(2, 3),
        )

    def preprocess(self, observation: Observation) -> Prepared:
        images = {}
        for name in self.spec.camera_names:
            pixels = torch.from_numpy(observation.images[name].copy()).permute(2, 0, 1)[None] / 255
            images[name] = self.resize_rule(pixels)
        inputs = {
            "state": torch.from_numpy(observation.state)[None],
            "words": torch.tensor(
                [[float(len(observation.instruction) + sum(map(ord, observation.instruction)))]]
            ),
        }
        return Prepared(images, inputs, dict.fromkeys(images, BOX))

    def sample_noise(self, generator):
        return torch.randn(1, 2, 3, generator=generator)

    def run_pixels(self, base, images, noise) -> Actions:
        count = max((len(rows) for rows in images.values()), default=1)
        views = [images.get(name, whole).expand(count, -1, -1, -1) for name, whole in base.images.items()]
        answer = self.act(torch.stack(views, 1), base, noise)
        return Actions(answer, 2 * answer)

    def act(self, views, base, noise):
        """Act on views [N, V, 3, h, w]: the left and right halves of both cameras are the two steps."""
        halves = views.unflatten(-1, (2, 8)).mean((3, 5))  # [N, V, 3, 2]
        seen = (halves[:, 0] - 0.5 * halves[:, 1]).transpose(1, 2)
        return seen + 0.1 * base.inputs["state"].sum() + torch.sin(base.inputs["words"]) + 0.3 * noise
