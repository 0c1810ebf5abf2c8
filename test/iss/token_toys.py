# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy over tokens whose causes are planted, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, STATE, TEMPLATE, Encoded, Segment, TokenScores

GRID, PATCH, WIDTH = 6, 4, 5
WORDS = ("press", "the", "red", "button")


class TokenToy:
    """Its action is one patch of the front camera times 9, and the code of one word times 3.

    Sequence: a template token, front patches, wrist patches, words (the planted one is two tokens), a state token, a
    padding token. Counts how often its vision tower ran.
    """

    def __init__(self, patch: tuple[int, int] = (2, 4), word: str = "red") -> None:
        self.patch, self.word = patch, word
        self.device = torch.device("cpu")
        self.cameras = ("front", "wrist")
        self.spec = SimpleNamespace(
            name="toy",
            shares_noise=True,
            state_mean=None,
            camera_names=self.cameras,
            weights_hash="",
            distribution="",
        )
        self.towers = 0

    def preprocess(self, observation: Observation) -> Prepared:
        images = {
            name: torch.from_numpy(observation.images[name]).permute(2, 0, 1)[None].float() / 255
            for name in self.cameras
        }
        codes = torch.tensor([[float(word == self.word) for word in observation.instruction.split()]])
        return Prepared(images, {"codes": codes}, words=tuple(observation.instruction.split()))

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        return None

    def encode(self, base: Prepared) -> Encoded:
        self.towers += 1
        patches = [
            torch.nn.functional.avg_pool2d(image.mean(1, keepdim=True), PATCH).flatten(1)[..., None]
            for image in base.images.values()
        ]
        words = base.inputs["codes"].repeat_interleave(2, 1)[..., None]
        scalars = torch.cat([torch.full((1, 1, 1), 9.0), *patches, words, torch.full((1, 2, 1), 9.0)], 1)
        segments, start = [Segment(TEMPLATE, 0, 1)], 1
        for name in self.cameras:
            segments.append(Segment(CAMERA, start, start + GRID**2, name, (GRID, GRID)))
            start += GRID**2
        count = len(base.words)
        owners = tuple(index for index in range(count) for _ in range(2))
        segments.append(Segment(INSTRUCTION, start, start + 2 * count, words=base.words, word_of=owners))
        segments.append(Segment(STATE, start + 2 * count, start + 2 * count + 1))
        return Encoded(scalars.expand(-1, -1, WIDTH).clone(), tuple(segments), {"words": base.words})

    def run_tokens(self, encoded: Encoded, tokens: Tensor, noise: Tensor | None) -> Actions:
        patch_place = 1 + self.patch[0] * GRID + self.patch[1]
        start = 1 + 2 * GRID**2
        patch = tokens[:, patch_place].mean(1)
        place = start + 2 * encoded.inputs["words"].index(self.word)
        word = tokens[:, place : place + 2].mean((1, 2))
        actions = torch.stack([9 * patch, 3 * word], 1)[:, None]
        return Actions(actions, actions)

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        rows = max((len(rows) for rows in images.values()), default=1)
        front = images.get("front", base.images["front"]).expand(rows, -1, -1, -1)
        pooled = torch.nn.functional.avg_pool2d(front.mean(1, keepdim=True), PATCH)
        patch = pooled[:, 0, self.patch[0], self.patch[1]]
        word = base.inputs["codes"].sum(1).expand(rows)
        actions = torch.stack([9 * patch, 3 * word], 1)[:, None]
        return Actions(actions, actions)

    def attention(self, encoded: Encoded, noise: Tensor | None) -> TokenScores:
        return TokenScores(torch.arange(encoded.tokens.shape[1], dtype=torch.float32), "made up")

    def run_knocked_out(self, encoded: Encoded, hidden: Tensor, noise: Tensor | None) -> Actions:
        return self.run_tokens(encoded, torch.where(hidden[:, :, None], 0.0, encoded.tokens), noise)


def token_frame(seed: int, text: str = " ".join(WORDS), stamp: int = 1) -> Observation:
    """Return a frame of patches of random colours."""
    rng = np.random.default_rng(seed)
    images = {
        name: rng.integers(0, 256, (GRID, GRID, 3), dtype=np.uint8).repeat(PATCH, 0).repeat(PATCH, 1)
        for name in ("front", "wrist")
    }
    # Bright, so that the patch planted by default is far from any mean.
    images["front"][2 * PATCH : 3 * PATCH, 4 * PATCH : 5 * PATCH] = 255 if seed < 10 else 0
    return Observation(images, text, None, stamp)
