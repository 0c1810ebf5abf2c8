# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a flow's action expert reads of a prefix that is computed once: attention, and positions kept from it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Watch:
    """Keeps the expert's attention in the last layer of every flow step, float32 [1, heads, T, keys] each."""

    def __init__(self, step: Any) -> None:
        self._step = step
        self._latest: Tensor | None = None
        self.weights: list[Tensor] = []

    def __call__(self, **given: Any) -> Tensor:
        """Take a step and keep what its last layer attended to."""
        velocity: Tensor = self._step(**given)
        assert self._latest is not None
        self.weights.append(self._latest.float())
        return velocity

    def note(self, weights: Tensor) -> None:
        """Take the weights of one layer; later ones replace them."""
        self._latest = weights

    def attend(self, attend: Any) -> Any:
        """Return SmolVLA's attention function with its weights noted, which it does not give away."""

        def noting(mask: Tensor, rows: int, width: int, query: Tensor, key: Tensor, value: Tensor) -> Any:
            groups = query.shape[2] // key.shape[2]
            keys = key.float().repeat_interleave(groups, 2)
            scores = torch.einsum("nqhd,nkhd->nhqk", query.float(), keys) * width**-0.5
            self.note(scores.masked_fill(~mask[:, None], torch.finfo(scores.dtype).min).softmax(-1))
            return attend(mask, rows, width, query, key, value)

        return noting

    def mean(self, positions: Tensor) -> Tensor:
        """Return the mean over steps, heads and action steps at ``positions`` of the prefix, float32 [L]."""
        return torch.stack([weights[0].mean((0, 1)) for weights in self.weights]).mean(0)[positions]


class HiddenPrefix:
    """Lets N rows of the expert read one prefix without the positions ``hidden`` bool [N, P].

    Masking keys alone leaves the action tokens' own positions as they are; masking through the library's padding would
    move them.
    """

    def __init__(self, step: Any, forward: Any, hidden: Tensor) -> None:
        self._step, self._forward, self._hidden = step, forward, hidden

    def step(self, **given: Any) -> Tensor:
        """Take a flow step with the prefix's one row as N."""
        rows = len(given["x_t"])
        for name in ("prefix_pad_masks", "timestep", "state"):
            if name in given:
                given[name] = given[name].expand(rows, *given[name].shape[1:])
        velocity: Tensor = self._step(**given)
        return velocity

    def forward(self, **given: Any) -> Any:
        """Run the language model and the expert; where the expert reads the prefix, without what is hidden."""
        if given["inputs_embeds"][0] is None:
            given["attention_mask"] = self._mask(given["attention_mask"])
            given["past_key_values"] = _expanded(given["past_key_values"], len(self._hidden))
        return self._forward(**given)

    def _mask(self, mask: Tensor) -> Tensor:
        """Return an attention mask, bool [N, T, keys] or added to scores [N, 1, T, keys], that hides positions."""
        hidden = torch.nn.functional.pad(
            self._hidden, (0, mask.shape[-1] - self._hidden.shape[1]), value=False
        )
        if mask.dtype == torch.bool:
            return mask & ~hidden[:, None]
        return mask.masked_fill(hidden[:, None, None], torch.finfo(mask.dtype).min)


def _expanded(cache: Any, rows: int) -> Any:
    """Return a cache of keys and values whose one row is ``rows``; one with as many is left alone."""
    if isinstance(cache, dict):  # lerobot 0.4
        return {
            layer: {name: part.expand(rows, *part.shape[1:]) for name, part in parts.items()}
            for layer, parts in cache.items()
        }
    for layer in cache.layers:
        layer.keys = layer.keys.expand(rows, *layer.keys.shape[1:])
        layer.values = layer.values.expand(rows, *layer.values.shape[1:])
    return cache
