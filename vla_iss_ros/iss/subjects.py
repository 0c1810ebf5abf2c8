# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What interventions act on: a frame's pixels, its tokens, or what the action part may read of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from vla_iss_ros.iss.canvas import Canvas
from vla_iss_ros.iss.cells import Cells
from vla_iss_ros.iss.distributions import ReferencePath
from vla_iss_ros.iss.interventions import products
from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.token_cells import TokenCells
from vla_iss_ros.iss.token_means import TokenMeans
from vla_iss_ros.iss.tokens import Encoded


class ExplainablePolicy(Protocol):
    """What the loop needs of a policy; ``vla_iss_ros.policies.protocol`` says it in full."""

    spec: Any
    device: torch.device

    def preprocess(self, observation: Observation) -> Prepared:
        """Turn one observation into the policy's inputs."""

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        """Draw one row of sampling noise, or None for a deterministic policy."""

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        """Act on N variants of ``base``."""


def preprocess_again(policy: Any, observation: Observation, base: Prepared) -> Prepared:
    """Turn an observation that has the images of ``base`` into the policy's inputs.

    Policies may offer ``preprocess_inputs`` for it, which leaves the images as they are in ``base``.
    """
    prepared: Prepared = (
        policy.preprocess_inputs(observation, base)
        if hasattr(policy, "preprocess_inputs")
        else policy.preprocess(observation)
    )
    return prepared


@dataclass(frozen=True)
class SharedRun:
    """How a policy is run on one frame: the noise, and where there is one the reference path, that all rows share."""

    policy: Any
    noise: Tensor | None
    path: ReferencePath | None = None

    def along_path(self, base: Prepared) -> SharedRun:
        """Return the same with the path of the unperturbed observation, along which distributions are compared."""
        return replace(self, path=self.policy.reference_path(base, self.noise))

    @property
    def _path(self) -> dict[str, ReferencePath]:
        # Policies that compare chunks alone do not know the keyword.
        return {} if self.path is None else {"path": self.path}

    def pixels(self, base: Prepared, images: Mapping[str, Tensor]) -> Actions:
        """Act on N variants of ``base``."""
        actions: Actions = self.policy.run_pixels(base, images, self.noise, **self._path)
        return actions

    def tokens(self, encoded: Encoded, tokens: Tensor) -> Actions:
        """Act on N variants of ``encoded``."""
        actions: Actions = self.policy.run_tokens(encoded, tokens, self.noise, **self._path)
        return actions


class Subject(Protocol):
    """Something whose cells can be replaced in N rows at once. ``pictures``: what they can be replaced from."""

    pictures: int

    @property
    def cells(self) -> Cells:
        """What can be replaced."""

    def products(self) -> Tensor:
        """Return the mean products of the changes that two pictures bring to a cell, [C, D, D] on the host."""

    def variants(self, replaced: Tensor, chosen: Tensor) -> Any:
        """Make n variants; ``replaced`` bool [n, C] and ``chosen`` int64 [n], the picture, are on the policy's device.

        A row without a replaced cell is the observation as it is.
        """

    def act(self, run: SharedRun, variants: Any) -> Actions:
        """Run the policy on variants."""

    def unperturbed(self, run: SharedRun) -> Actions:
        """Act on the observation as it is, one row."""


class Pixels:
    """Cells of the cameras' images, replaced by pixels of ``pictures``, camera name to float32 [D, 3, h, w]."""

    def __init__(self, base: Prepared, canvas: Canvas, cells: Any, pictures: Mapping[str, Tensor]) -> None:
        self.cells = cells
        self.pictures = len(next(iter(pictures.values())))
        self._base, self._canvas, self._donors = base, canvas, pictures

    def products(self) -> Tensor:
        """Return the mean products of the changes of pixels."""
        return products(self._base, self._donors, self.cells).cpu()

    def variants(self, replaced: Tensor, chosen: Tensor) -> Mapping[str, Tensor]:
        """Paint images."""
        return self._canvas.paint(replaced, chosen)

    def act(self, run: SharedRun, variants: Mapping[str, Tensor]) -> Actions:
        """Act on painted images."""
        return run.pixels(self._base, variants)

    def unperturbed(self, run: SharedRun) -> Actions:
        """Act on the images as they are."""
        return run.pixels(self._base, {})


class Tokens:
    """Image patches and words, replaced by their modality's mean embedding."""

    pictures = 1

    def __init__(self, encoded: Encoded, means: TokenMeans, cells: TokenCells) -> None:
        self.cells = cells
        self.encoded, self._recorded = encoded, means
        self._means = means.rows(encoded).to(encoded.tokens)

    def products(self) -> Tensor:
        """Return mean squared changes of the embeddings, [C, 1, 1], relative to the mean of their modality.

        Image patches and words have scales of their own; which modality weighs how much is for the samples to say.
        """
        changes = (self._means - self.encoded.tokens)[0].float().square().mean(1)
        return self.cells.normalised_by_view(self.cells.means(changes))[:, None, None]

    def variants(self, replaced: Tensor, chosen: Tensor) -> Tensor:
        """Mix tokens."""
        mask = self.cells.tokens(replaced)
        return torch.where(mask[:, :, None], self._means, self.encoded.tokens)

    def act(self, run: SharedRun, variants: Tensor) -> Actions:
        """Act on mixed tokens; the vision tower does not run."""
        return run.tokens(self.encoded, variants)

    def unperturbed(self, run: SharedRun) -> Actions:
        """Act on the tokens as they are."""
        return run.tokens(self.encoded, self.encoded.tokens)

    def without(self, encoded: Encoded, kinds: Collection[str], names: Collection[str]) -> Tensor:
        """Return the tokens [1, L, D] of ``encoded`` with all of those kinds and names at their means."""
        tokens, means = encoded.tokens.clone(), self._recorded.rows(encoded).to(encoded.tokens)
        for segment in encoded.segments:
            if segment.kind in kinds and segment.name in names:
                tokens[:, segment.start : segment.stop] = means[:, segment.start : segment.stop]
        return tokens


class HiddenPositions:
    """Image patches and words that the action part is kept from reading; what they hold is computed once.

    Cheaper than replacing them, and another question: other positions have taken in what the hidden ones hold.
    """

    pictures = 1

    def __init__(self, encoded: Encoded, cells: TokenCells) -> None:
        self.cells = cells
        self.encoded = encoded

    def products(self) -> Tensor:
        """Return ones: no cell is hidden more than another."""
        return torch.ones(self.cells.count, 1, 1, dtype=torch.float64)

    def variants(self, replaced: Tensor, chosen: Tensor) -> Tensor:
        """Tell which positions are hidden."""
        return self.cells.tokens(replaced)

    def act(self, run: SharedRun, variants: Tensor) -> Actions:
        """Act with positions hidden."""
        actions: Actions = run.policy.run_knocked_out(self.encoded, variants, run.noise)
        return actions

    def unperturbed(self, run: SharedRun) -> Actions:
        """Act with nothing hidden."""
        tokens = self.encoded.tokens
        return self.act(run, torch.zeros(1, tokens.shape[1], dtype=torch.bool, device=tokens.device))
