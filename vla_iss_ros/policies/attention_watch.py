# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Looks into the attention layers of one forward."""

from __future__ import annotations

import torch
from torch import Tensor


class AttentionWatch:
    """Keeps what the attention layers of one forward do, and may put something else in the place of their heads.

    ``wants_weights``: keep every layer's weights, [N, heads, asking, L]. ``ablated`` bool [N, H] over all heads, layer
    by layer, tells whose output is replaced by its row of ``means`` [H, d] at every position.
    """

    def __init__(
        self, wants_weights: bool = False, ablated: Tensor | None = None, means: Tensor | None = None
    ) -> None:
        self.wants_weights = wants_weights
        self.weights: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self._ablated, self._means = ablated, means
        self._seen = 0

    def heads(self, mixed: Tensor) -> Tensor:
        """Take one layer's outputs [N, heads, L, d] and return what goes on in their place."""
        if self._ablated is None or self._means is None:
            self.outputs.append(mixed)
            return mixed
        own = slice(self._seen, self._seen + mixed.shape[1])
        self._seen = own.stop
        return torch.where(self._ablated[:, own, None, None], self._means[own, None], mixed)


def rollout(weights: list[Tensor], asking: int) -> Tensor:
    """Return how much the first ``asking`` tokens attend to every token over all layers, float32 [N, L].

    Attention rollout (Abnar and Zuidema, 2020): heads averaged, half of every layer is the residual, layers
    multiplied. Layers may have computed their first rows alone. It tells where attention goes, not what the action
    depends on.
    """
    flow: Tensor | None = None
    for attention in reversed(weights):
        mean = attention.float().mean(1)
        rows = mean.shape[1]
        mixed = 0.5 * mean + 0.5 * torch.eye(rows, mean.shape[2], device=mean.device)
        flow = mixed[:, :asking] if flow is None else flow[..., :rows] @ mixed
    if flow is None:
        raise ValueError("attention rollout needs at least one layer's weights, got none")
    return flow.mean(1)
