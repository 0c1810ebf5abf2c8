# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Two methods of captum on the same cells, for benchmarks/peers.py; needs benchmarks/requirements.txt."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import captum.attr
import numpy as np
import threadpoolctl
import torch
from torch import Tensor

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.protocol import Policy

GRID = 7


def limit_threads(threads: int) -> None:
    """Hold the libraries beneath scikit-learn to as many threads as torch."""
    threadpoolctl.threadpool_limits(threads)


def feature_ablation(policy: Policy, observation: Observation, donor: Observation, batch: int) -> np.ndarray:
    """Replace one cell at a time: C runs, however many are asked for. Return maps float32 [V, GRID, GRID]."""

    def attribute(function: Callable[..., Tensor], **inputs: object) -> tuple[Tensor, ...]:
        method = captum.attr.FeatureAblation(function)
        return method.attribute(perturbations_per_eval=batch, **inputs)

    return _maps(policy, observation, donor, attribute)


def kernel_shap(
    policy: Policy, observation: Observation, donor: Observation, samples: int, seed: int, batch: int
) -> np.ndarray:
    """Estimate Shapley values of the cells from ``samples`` coalitions. Return maps float32 [V, GRID, GRID]."""

    def attribute(function: Callable[..., Tensor], **inputs: object) -> tuple[Tensor, ...]:
        torch.manual_seed(seed)
        method = captum.attr.KernelShap(function)
        return method.attribute(n_samples=samples, perturbations_per_eval=batch, **inputs)

    return _maps(policy, observation, donor, attribute)


def _maps(
    policy: Policy, observation: Observation, donor: Observation, attribute: Callable[..., tuple[Tensor, ...]]
) -> np.ndarray:
    """Attribute the divergence to cells; baselines are the donor's pixels, cells have hard edges."""
    base, other = policy.preprocess(observation), policy.preprocess(donor)
    start = policy.run_pixels(base, {}, None).normalised
    names = policy.spec.camera_names
    cells = {name: _cells(base.images[name], index) for index, name in enumerate(names)}

    def delta(*images: Tensor) -> Tensor:
        actions = policy.run_pixels(base, dict(zip(names, images, strict=True)), None).normalised
        return (actions - start).square().mean((1, 2))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = attribute(
            delta,
            inputs=tuple(base.images[name] for name in names),
            baselines=tuple(other.images[name] for name in names),
            feature_mask=tuple(cells[name] for name in names),
        )
    # Attributions are of a cell's presence, which keeps the divergence down.
    return np.stack([-_of_cells(each, cells[name]) for name, each in zip(names, found, strict=True)])


def _cells(image: Tensor, view: int) -> Tensor:
    """Return the number of every pixel's cell, int64 [1, 1, h, w]."""
    height, width = image.shape[-2:]
    rows = torch.arange(height) * GRID // height
    columns = torch.arange(width) * GRID // width
    return (view * GRID**2 + rows[:, None] * GRID + columns)[None, None]


def _of_cells(attribution: Tensor, cells: Tensor) -> np.ndarray:
    """Return the attribution of every cell, float32 [GRID, GRID]; all pixels of a cell hold it."""
    values = np.zeros(GRID**2, np.float32)
    values[(cells % GRID**2).numpy().ravel()] = attribution[:, :1].numpy().ravel()
    return values.reshape(GRID, GRID)
