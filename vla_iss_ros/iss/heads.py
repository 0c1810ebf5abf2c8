# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Attention heads as what is intervened on: ISS of heads instead of image patches, words or pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss.effects import Effect
from vla_iss_ros.iss.frames import FrameRun
from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.subjects import SharedRun, Subject
from vla_iss_ros.iss.token_cells import APART
from vla_iss_ros.iss.tokens import Encoded
from vla_iss_ros.iss.words import WordSaliency

METHODS = ("heads", "encode", "head_outputs", "run_heads")


@dataclass(frozen=True)
class HeadCells:
    """One cell a head, in the order of ``heads``; none lies on a camera's image, so there are no maps."""

    heads: tuple[str, ...]
    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of heads."""
        return len(self.heads)

    @property
    def positions(self) -> Tensor:
        """Places far from each other, int64 [H, 3]: a head's neighbour tells nothing of it."""
        return torch.tensor([(0, 0, APART * index) for index in range(self.count)])

    def maps(self, values: Tensor, size: tuple[int, int]) -> Tensor:
        """Return no map, float32 [M, 0, h, w]."""
        return values.new_zeros(len(values), 0, *size, dtype=torch.float32)

    def by_view(self, values: Tensor) -> Mapping[str, Tensor]:
        """Return nothing: there is no camera."""
        return {}

    def of_words(self, values: Tensor) -> Tensor:
        """Return no value, [0]."""
        return values[:0]

    def images(self) -> HeadCells:
        """Return no cells."""
        return HeadCells(())


class Heads:
    """Every head's output, replaced by its recorded mean at all positions; ``means`` [H, E]."""

    pictures = 1

    def __init__(self, policy: Any, encoded: Encoded, means: Tensor) -> None:
        self.cells = HeadCells(tuple(policy.heads))
        self._encoded, self._means = encoded, means

    def products(self) -> Tensor:
        """Return ones: no head is ablated more than another."""
        return torch.ones(self.cells.count, 1, 1, dtype=torch.float64)

    def variants(self, replaced: Tensor, chosen: Tensor) -> Tensor:
        """Tell which heads are ablated."""
        return replaced

    def act(self, run: SharedRun, variants: Tensor) -> Actions:
        """Act with heads ablated; the vision tower does not run."""
        actions: Actions = run.policy.run_heads(self._encoded, variants, self._means, run.noise)
        return actions

    def unperturbed(self, run: SharedRun) -> Actions:
        """Act with no head ablated."""
        none = torch.zeros(1, self.cells.count, dtype=torch.bool, device=self._encoded.tokens.device)
        return self.act(run, none)


class HeadSpace:
    """Mean-ablation of attention heads. ``means`` [H, E] as of ``gather_head_means``.

    It says which heads the action passes through, not what they look at; a head that another one stands in for has
    little effect alone. Raises ValueError for a policy that does not offer its heads.
    """

    def __init__(self, policy: Any, means: Tensor) -> None:
        refuse_heads(policy)
        if means.ndim != 2 or len(means) != len(policy.heads):
            raise ValueError(
                f"means must be [{len(policy.heads)}, E], one row a head, got {list(means.shape)}"
            )
        self._policy, self._means = policy, means

    def subject(self, observation: Observation, base: Prepared) -> Subject:
        """Return the heads of the policy on one frame."""
        return Heads(self._policy, self._policy.encode(base), self._means)

    def effects(self, frame: FrameRun) -> tuple[Effect, ...]:
        """Return none: a head is no modality."""
        return ()

    def words(self, frame: FrameRun) -> tuple[WordSaliency, ...]:
        """Return none."""
        return ()

    def described(self) -> str:
        """Name the ablation."""
        return "attention heads replaced by their mean outputs"


def refuse_heads(policy: Any) -> None:
    """Raise ValueError when ``policy`` does not offer its heads, or has none."""
    missing = [name for name in METHODS if not hasattr(policy, name)]
    if missing:
        raise ValueError(
            f"heads can be ranked of a policy with {', '.join(METHODS)}, and {type(policy).__name__} has no "
            f"{missing[0]}"
        )
    if not policy.heads:
        raise ValueError(f"{type(policy).__name__} names no heads")


def gather_head_means(policy: Any, observations: Sequence[Observation], seed: int = 0) -> Tensor:
    """Return every head's mean output over ``observations`` and positions, float32 [H, E].

    Raises ValueError for fewer than two observations: the mean of one frame takes out little that is particular to it.
    """
    if len(observations) < 2:
        raise ValueError(f"mean outputs of heads need 2 or more frames, got {len(observations)}")
    total: Tensor | None = None
    with torch.inference_mode():
        noise = policy.sample_noise(torch.Generator().manual_seed(seed))
        for observation in observations:
            outputs = policy.head_outputs(policy.encode(policy.preprocess(observation)), noise).double()
            total = outputs if total is None else total + outputs
    assert total is not None
    if not bool(total.isfinite().all()):
        raise ValueError("the policy's head outputs are not finite; check its weights")
    return (total / len(observations)).float()
