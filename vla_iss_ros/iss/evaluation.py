"""The loop's inner part: what the policy answers to interventions, and how far that is from its answer without."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from vla_iss_ros.iss import interventions
from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.divergences import Divergence
from vla_iss_ros.iss.observation import Actions, Observation, Prepared


class ExplainablePolicy(Protocol):
    """What the loop needs of a policy; ``vla_iss_ros.policies.protocol.Policy`` says it in full."""

    spec: Any
    device: torch.device

    def preprocess(self, observation: Observation) -> Prepared:
        """Turn one observation into the policy's inputs."""

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        """Draw one row of sampling noise, or None for a deterministic policy."""

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        """Act on N variants of ``base``."""


@dataclass
class BatchLimit:
    """Most rows in one run of the policy; outlives the frame, so that a size that did not fit is tried once."""

    rows: int


class Evaluator:
    """Measures interventions on one observation.

    ``base`` is the observation as the policy takes it, ``pictures`` (camera name to float32 [D, 3, h, w]) what
    replaced cells show, ``noise`` one row of sampling noise that every run shares. ``limit`` is shared with other
    frames and shrinks when memory runs out. ``reference`` holds the answer [1, T, A] to ``base``, ``noise_floor`` the
    largest divergence of that answer from itself, ``seconds`` the time within the policy, ``rows`` how many rows it
    was run on. Raises ValueError when the policy's answer is not finite.
    """

    def __init__(
        self,
        policy: ExplainablePolicy,
        base: Prepared,
        cells: CellGrid,
        pictures: Mapping[str, Tensor],
        noise: Tensor | None,
        *,
        quantise: bool,
        divergence: Divergence,
        limit: BatchLimit,
    ) -> None:
        self._policy, self._base, self._cells = policy, base, cells
        self._pictures, self._noise, self._quantise = pictures, noise, quantise
        self._divergence, self._limit = divergence, limit
        self.seconds = 0.0
        self.rows = 0
        self.noise_floor = 0.0
        self.reference = self.run(base, {})

    def measure(self, replaced: Tensor, chosen: Tensor, with_moves: bool) -> tuple[Tensor, Tensor | None]:
        """Return every intervention's divergence, float64 [n], and if asked for its move, float32 [n, TA].

        ``replaced`` bool [n, C] tells the cells that are replaced, ``chosen`` int64 [n] the picture that they are
        replaced from; both and the results are on the host. A move is the change of the normalised action. Out of
        memory, the batch is halved and the block measured again; the smaller size is remembered.
        """
        while True:
            try:
                return self._measure_in_batches(replaced, chosen, with_moves)
            except torch.cuda.OutOfMemoryError:
                if self._limit.rows <= 2:
                    raise
                self._limit.rows = max(2, self._limit.rows // 2)
                torch.cuda.empty_cache()

    def run(self, base: Prepared, images: Mapping[str, Tensor]) -> Actions:
        """Run the policy on variants of ``base`` and keep the time; raises ValueError for an answer not finite."""
        started = time.perf_counter()
        actions = self._policy.run_pixels(base, images, self._noise)
        actions.require_finite()
        self.seconds += time.perf_counter() - started
        self.rows += len(actions.normalised)
        return actions

    def _measure_in_batches(
        self, replaced: Tensor, chosen: Tensor, with_moves: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Cut the block into equal batches of at most ``limit.rows`` rows and run them.

        Row 0 of each is the unperturbed observation and what the others are compared with: kernels chosen by batch
        size then cancel out.
        """
        batches = -(-len(replaced) // (self._limit.rows - 1))
        deltas, moves = [], []
        for rows, pictures in zip(replaced.tensor_split(batches), chosen.tensor_split(batches), strict=True):
            actions = self._perturbed(rows, pictures)
            delta = self._divergence(actions, actions.normalised[:1])
            unperturbed = Actions(actions.normalised[:1], actions.physical[:1])
            floor = self._divergence(unperturbed, self.reference.normalised)
            host = torch.cat([delta[1:], floor]).to("cpu", torch.float64)
            deltas.append(host[:-1])
            self.noise_floor = max(self.noise_floor, float(host[-1]))
            if with_moves:
                moves.append((actions.normalised[1:] - actions.normalised[:1]).flatten(1).cpu())
        return torch.cat(deltas), torch.cat(moves) if with_moves else None

    def _perturbed(self, rows: Tensor, pictures: Tensor) -> Actions:
        """Run the policy on the unperturbed observation and on it with each of ``rows`` replaced."""
        device = self._policy.device
        padded = torch.cat([torch.zeros_like(rows[:1]), rows]).to(device)
        indices = torch.cat([torch.zeros_like(pictures[:1]), pictures]).to(device)
        coverage = self._cells.coverage(padded)
        images = interventions.apply(self._base, self._pictures, indices, coverage, self._quantise)
        return self.run(self._base, images)
