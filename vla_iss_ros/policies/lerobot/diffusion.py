# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Diffusion: an observation history through ResNets, a denoising U-Net, DDPM or DDIM steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss.distributions import DenoisingMeans, Distribution, ReferencePath
from vla_iss_ros.iss.observation import Prepared
from vla_iss_ros.policies.lerobot.base import LeRobotPolicy, Parts
from vla_iss_ros.policies.lerobot.given_noise import GivenNoise
from vla_iss_ros.policies.lerobot.processors import STATE


class DiffusionPolicy(LeRobotPolicy):
    """Diffusion in pixel space.

    Every observation step shows the same picture and state, as at the start of an episode, and an intervention changes
    all of them: one mask over the whole history. A row of noise [1 + K, T, A] holds the first sample, then what each
    of the K steps that draw noise adds; a DDIM sampler draws none.
    """

    def __init__(self, parts: Parts) -> None:
        model = parts.network.diffusion
        self._unet, self._scheduler = model.unet, model.noise_scheduler
        self._scheduler.set_timesteps(model.num_inference_steps)
        self._times = [int(time) for time in self._scheduler.timesteps]
        self._deviations = [self._deviation(time) for time in self._times]
        super().__init__(parts)

    @property
    def distribution(self) -> str:  # type: ignore[override]
        """Return ddpm where steps draw noise; a DDIM sampler has no distribution of steps."""
        return "ddpm" if any(self._deviations) else ""

    @property
    def horizon(self) -> int:
        """Steps of an answer: those that are executed."""
        return int(self.config.n_action_steps)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """One sample, and one for each step that draws noise."""
        drawing = sum(deviation > 0 for deviation in self._deviations)
        return 1 + drawing, int(self.config.horizon), int(self.config.action_feature.shape[0])

    def act(
        self, batch: dict[str, Tensor], noise: Tensor | None, path: ReferencePath | None
    ) -> tuple[Tensor, Distribution | None]:
        """Return the executed steps of the chunk, and along a path the means of its steps."""
        assert noise is not None
        condition = self._condition(batch)
        sample, _ = self._sample(condition, noise)
        first = self.config.n_obs_steps - 1
        distribution = None if path is None else self._means(condition, path)
        return sample[:, first : first + self.horizon], distribution

    def reference_path(self, base: Prepared, noise: Tensor | None) -> ReferencePath:
        """Return the samples [1, K, T, A] before each step that draws noise, of the unperturbed observation."""
        assert noise is not None
        pictures = {key: base.images[name] for name, key in self._keys.items()}
        condition = self._condition({**base.inputs, **self.processors.images(pictures)})
        _, points = self._sample(condition, noise)
        return ReferencePath(points)

    def _condition(self, batch: dict[str, Tensor]) -> Tensor:
        """Return what the U-Net is conditioned on, [N, H * F]: the features of one step, for all H steps of history."""
        images = torch.stack([batch[key] for key in self._keys.values()], 1)
        step: dict[str, Any] = {STATE: batch[STATE][:, None], "observation.images": images[:, None]}
        features: Tensor = self.network.diffusion._prepare_global_conditioning(step)
        return features.repeat(1, self.config.n_obs_steps)

    def _sample(self, condition: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the samples [N, T, A] and the path that row 0 took, [1, K, T, A]."""
        rows = noise.to(condition.dtype).expand(len(condition), -1, -1, -1)
        sample, drawn, points = rows[:, 0], 0, []
        for time, deviation in zip(self._times, self._deviations, strict=True):
            added = torch.zeros_like(rows[:, 0])
            if deviation > 0:
                points.append(sample[:1])
                drawn += 1
                added = rows[:, drawn]
            sample = self._step(condition, time, sample, added)
        return sample, torch.stack(points, 1) if points else sample[:1, None][:, :0]

    def _means(self, condition: Tensor, path: ReferencePath) -> DenoisingMeans:
        """Return the means of the steps that draw noise, at the points of a path."""
        drawing = [(t, d) for t, d in zip(self._times, self._deviations, strict=True) if d > 0]
        means = []
        for index, (time, _) in enumerate(drawing):
            point = path.points[:, index].to(condition).expand(len(condition), -1, -1)
            means.append(self._step(condition, time, point, torch.zeros_like(point)))
        variances = torch.tensor([deviation**2 for _, deviation in drawing], device=condition.device)
        return DenoisingMeans(torch.stack(means, 1).float(), variances)

    def _step(self, condition: Tensor, time: int, sample: Tensor, added: Tensor) -> Tensor:
        """Take one step of the sampler, which adds ``added``, standard normal, by its own measure."""
        times = torch.full(sample.shape[:1], time, dtype=torch.long, device=sample.device)
        output = self._unet(sample, times, global_cond=condition)
        with GivenNoise(added):
            stepped: Tensor = self._scheduler.step(output, time, sample).prev_sample
        return stepped

    def _deviation(self, time: int) -> float:
        """Return by how much a step moves for noise of 1: the scheduler's own deviation, 0 where it draws none."""
        nothing = torch.zeros(1, 1, 1, dtype=torch.float64)
        with GivenNoise(torch.ones(1, 1, 1, dtype=torch.float64)):
            return float(self._scheduler.step(nothing, time, nothing).prev_sample)
