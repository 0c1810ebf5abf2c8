# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Published ways of making such maps, written plainly as they are published, for benchmarks/peers.py.

Both take a policy that may time itself, an observation and donors, and return maps float32 [V, H, W] at the camera's
size: how much an action changes where a position is replaced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.protocol import Policy

GRID = 7


def reference_manner(
    policy: Policy,
    observation: Observation,
    donors: Sequence[Observation],
    samples: int,
    seed: int,
    keep: float,
    batch: int,
) -> np.ndarray:
    """Estimate mask by mask at the camera's size, as the reference toolkit does.

    One mask stitched over all views, images mixed in NumPy and cut to 8 bits, each preprocessed by itself, the policy
    run on ``batch`` rows, and delta times mask summed up at full resolution. What replaced positions show comes from
    the donors, where the toolkit has a blur, so that the maps can be compared with others.
    """
    generator = np.random.default_rng(seed)
    names = policy.spec.camera_names
    images = {name: observation.images[name].astype(np.float32) for name in names}
    others = [{name: donor.images[name].astype(np.float32) for name in names} for donor in donors]
    base = policy.preprocess(observation)
    start = policy.run_pixels(base, {}, None).normalised.numpy()
    height, width = images[names[0]].shape[:2]
    sums = np.zeros((len(names), height, width), np.float32)
    waiting, masks = [], []
    for sample in range(samples):
        kept = (generator.random((GRID, GRID * len(names))) < keep).astype(np.float32)
        soft = cv2.resize(kept, (width * len(names), height), interpolation=cv2.INTER_LINEAR)
        views = np.split(soft, len(names), axis=1)
        other = others[sample % len(others)]
        mixed = {}
        for name, view in zip(names, views, strict=True):
            picture = images[name] * view[:, :, None] + other[name] * (1 - view[:, :, None])
            mixed[name] = np.clip(picture, 0, 255).astype(np.uint8)
        perturbed = Observation(mixed, observation.instruction, observation.state, observation.stamp)
        waiting.append(policy.preprocess(perturbed))
        masks.append(np.stack(views))
        if len(waiting) == batch or sample == samples - 1:
            stacked = {name: torch.cat([each.images[name] for each in waiting]) for name in names}
            actions = policy.run_pixels(base, stacked, None).normalised.numpy()
            for action, mask in zip(actions, masks, strict=True):
                sums += ((action - start[0]) ** 2).mean() * (1 - mask)
            waiting, masks = [], []
    return sums / (samples * (1 - keep))


def rise(policy: Policy, observation: Observation, samples: int, seed: int, batch: int) -> np.ndarray:
    """Estimate as RISE (Petsiuk et al., 2018): cells kept with 0.5, the grid shifted at random, black beneath.

    Masks are made one by one at the network's size and multiplied with the image. The score of a mask is delta, and a
    position's is the mean score of the masks that hide it.
    """
    generator = np.random.default_rng(seed)
    names = policy.spec.camera_names
    base = policy.preprocess(observation)
    start = policy.run_pixels(base, {}, None).normalised
    height, width = next(iter(base.images.values())).shape[-2:]
    masks = np.empty((samples, len(names), height, width), np.float32)
    cell = math.ceil(height / GRID), math.ceil(width / GRID)
    for sample in range(samples):
        for view in range(len(names)):
            grid = (generator.random((GRID, GRID)) < 0.5).astype(np.float32)
            size = ((GRID + 1) * cell[1], (GRID + 1) * cell[0])
            large = cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR)
            top, left = generator.integers(0, cell[0]), generator.integers(0, cell[1])
            masks[sample, view] = large[top : top + height, left : left + width]
    scores = []
    for place in range(0, samples, batch):
        part = torch.from_numpy(masks[place : place + batch])
        images = {name: base.images[name] * part[:, index, None] for index, name in enumerate(names)}
        actions = policy.run_pixels(base, images, None).normalised
        scores.append((actions - start).square().mean((1, 2)))
    delta = torch.cat(scores).numpy()
    hidden = np.tensordot(delta, 1 - masks, 1) / (samples * 0.5)
    height, width = observation.images[names[0]].shape[:2]
    return np.stack([cv2.resize(view, (width, height), interpolation=cv2.INTER_LINEAR) for view in hidden])
