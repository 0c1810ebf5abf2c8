# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Batches for openpi's own ``Policy`` around a PyTorch model, whose ``infer`` takes one observation.

openpi's ``infer`` adds an axis of one row and takes it off again
(https://github.com/Physical-Intelligence/openpi/issues/765); its model's ``sample_actions`` takes any number. This
goes around ``infer`` by the same steps: input transforms row by row, one call of the model, output transforms row by
row.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

NEEDED = ("_input_transform", "_output_transform", "_sample_actions", "_pytorch_device")


def batched(policy: Any) -> Any:
    """Return ``policy``, with ``infer_batch`` added where it is openpi's around a PyTorch model and has none."""
    if hasattr(policy, "infer_batch") or not getattr(policy, "_is_pytorch_model", False):
        return policy
    if not all(hasattr(policy, name) for name in NEEDED):
        return policy
    observation_class = importlib.import_module("openpi.models.model").Observation
    return TorchBatches(policy, observation_class.from_dict)


class TorchBatches:
    """``infer`` as of ``policy``; ``infer_batch`` runs its model once.

    ``to_observation`` makes the model's observation of a dictionary of tensors.
    """

    def __init__(self, policy: Any, to_observation: Callable[[Any], Any]) -> None:
        self._policy, self._to_observation = policy, to_observation
        self._model = getattr(policy, "_model", None)
        self.metadata = getattr(policy, "metadata", {})
        self.infer = policy.infer

    def infer_batch(
        self, observations: Sequence[Mapping[str, Any]], *, noise: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Return ``actions`` [N, T, A] for N observations and noise [N, H, D]."""
        import torch

        policy = self._policy
        rows = [policy._input_transform(dict(observation)) for observation in observations]
        inputs = _stacked(rows, lambda array: torch.from_numpy(array).to(policy._pytorch_device))
        options = dict(getattr(policy, "_sample_kwargs", None) or {})
        if noise is not None:
            options["noise"] = torch.from_numpy(noise).to(policy._pytorch_device)
        with torch.inference_mode():
            answer = policy._sample_actions(policy._pytorch_device, self._to_observation(inputs), **options)
        actions = answer.float().cpu().numpy()
        states = inputs["state"].cpu().numpy()
        outputs = [
            policy._output_transform({"state": state, "actions": action})["actions"]
            for state, action in zip(states, actions, strict=True)
        ]
        return {"actions": np.stack([np.asarray(output) for output in outputs])}


def _stacked(rows: Sequence[Any], convert: Callable[[np.ndarray], Any]) -> Any:
    """Return the rows' dictionaries as one of arrays [N, ...]."""
    if isinstance(rows[0], Mapping):
        return {name: _stacked([row[name] for row in rows], convert) for name in rows[0]}
    return convert(np.stack([np.asarray(row) for row in rows]))
