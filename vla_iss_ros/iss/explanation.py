# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What one explained frame yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vla_iss_ros.iss.cells import Cells
from vla_iss_ros.iss.effects import Effect
from vla_iss_ros.iss.estimators import Estimate
from vla_iss_ros.iss.nmr import NuisanceMassRatio
from vla_iss_ros.iss.observation import Actions
from vla_iss_ros.iss.words import WordSaliency


@dataclass(frozen=True)
class Explanation:
    """The saliency of one observation and what follows from it.

    ``stamp``: the observation's, ns. ``actions``: the answer to the unperturbed observation, one row.
    ``stop_reason``: samples (all that the estimator takes), time budget or NMR interval.
    ``noise_floor``: largest divergence between the unperturbed row of any two batches, in units
    of delta, and of 8 more answers where noise is not shared; contrasts near it mean nothing. ``mean_delta``: over all
    interventions.
    ``ratios``: NMR by k. ``shared_noise``: False when the policy could not be given its sampling noise, so that its
    own spread is in every number. ``seconds``: time spent in prepare, policy and estimate, which may
    run beside the policy. Parts of policy: ``policy for the map``, without effects; ``policy until the map``, till
    the map had been told.
    ``remembered``: samples of earlier frames that the estimator was given; it drops them where they contradict this
    frame's. ``forgot``: why a stream began anew at this frame. ``words``: saliency of the instruction's words, where it
    was measured. ``method``: what the numbers are, in words.

    A map shows which pixels the action depends on when they are replaced by the chosen baseline. It does not show
    what the policy attends to, nor what would make it succeed.
    """

    stamp: int
    cells: Cells
    estimate: Estimate
    actions: Actions
    samples: int
    stop_reason: str
    noise_floor: float
    mean_delta: float
    ratios: Mapping[int, NuisanceMassRatio]
    effects: tuple[Effect, ...]
    shared_noise: bool
    seconds: Mapping[str, float]
    remembered: int = 0
    forgot: str = ""
    words: tuple[WordSaliency, ...] = ()
    method: str = "ISS"

    def contrast_map(self, camera: str, size: tuple[int, int]) -> np.ndarray:
        """Return the contrast on a camera's image, float32 [h, w], in units of delta."""
        return self._map(self.estimate.contrast, camera, size)

    def standard_error_map(self, camera: str, size: tuple[int, int]) -> np.ndarray:
        """Return the contrast's standard error on a camera's image, float32 [h, w], in units of delta."""
        return self._map(self.estimate.standard_error, camera, size)

    def _map(self, values: Tensor, camera: str, size: tuple[int, int]) -> np.ndarray:
        if camera not in self.cells.names:
            raise KeyError(f"no camera '{camera}' in this explanation; have {list(self.cells.names)}")
        return self.cells.maps(values[None], size)[0, self.cells.names.index(camera)].numpy()
