# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What every policy must offer to be explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from vla_iss_ros.iss.distributions import ReferencePath
from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.tokens import Encoded, TokenScores


@dataclass(frozen=True)
class CameraSpec:
    """One camera input: its name, the size (h, w) the network sees and its grid of image tokens, if any.

    ``resize`` says in words how a camera's image gets to that size; where padding surrounds it, the box that it fills
    is in ``Prepared.content``.
    """

    name: str
    input_size: tuple[int, int]
    token_grid: tuple[int, int] | None = None
    resize: str = "area"


@dataclass(frozen=True)
class PolicySpec:
    """What a policy takes and gives.

    ``state_mean``: the recorded mean of the state, physical units, or None where none is known.
    ``noise_shape``: shape of one row of sampling noise, or None for a deterministic policy.
    ``shares_noise``: False for a policy that cannot be given its noise; results then carry that fact.
    ``distribution``: what ``Actions.distribution`` holds when the policy is run along a reference path: gaussian,
    categorical, flow or ddpm; empty for a policy that gives its action chunk alone.
    """

    name: str
    cameras: tuple[CameraSpec, ...]
    horizon: int
    action_names: tuple[str, ...]
    action_units: tuple[str, ...]
    state_names: tuple[str, ...] = ()
    state_mean: tuple[float, ...] | None = None
    noise_shape: tuple[int, ...] | None = None
    shares_noise: bool = True
    weights_hash: str = ""
    distribution: str = ""

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Cameras in the policy's own order."""
        return tuple(camera.name for camera in self.cameras)


@runtime_checkable
class Policy(Protocol):
    """A policy whose inputs can be intervened on.

    Two methods are optional. ``resize(images) -> images``: bring camera name to float32 [N, 3, H, W] in [0, 1] from the
    camera's size to the policy's, as ``preprocess`` does. The setting ``composite_resolution`` = camera needs it, and
    on a CPU another thread calls it beside ``run_pixels``.
    ``preprocess_inputs(observation, base) -> Prepared``: what ``preprocess`` returns for an observation with the images
    that ``base`` was made from, without touching them again; it makes effects of instruction and state cheaper.
    """

    spec: PolicySpec
    device: torch.device

    def preprocess(self, observation: Observation) -> Prepared:
        """Turn one observation into the policy's inputs; raises ValueError naming what does not fit."""

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        """Draw one row of sampling noise [1, *noise_shape], or None for a deterministic policy."""

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        """Act on N variants of ``base``: ``images`` [N, 3, h, w] by camera; absent cameras are as in ``base``.

        All rows share ``noise`` [1, ...] (common random numbers).
        """


@runtime_checkable
class TokenPolicy(Policy, Protocol):
    """A policy whose image and word embeddings can be replaced, so that its vision tower runs once a frame."""

    def encode(self, base: Prepared) -> Encoded:
        """Run the vision tower and the word embedding on one observation."""

    def run_tokens(self, encoded: Encoded, tokens: Tensor, noise: Tensor | None) -> Actions:
        """Act on N variants of ``encoded`` whose tokens are ``tokens`` [N, L, D].

        All rows share ``noise``. Neither the vision tower nor the word embedding runs again.
        """


@runtime_checkable
class PathPolicy(Policy, Protocol):
    """A policy whose action distribution, not only its action, can be compared.

    ``run_pixels`` (and ``run_tokens``) then take the keyword ``path``; with it every row's answer carries, besides the
    chunk, ``distribution``: the velocities (flow), the means (ddpm) or the logits (categorical) on that path. A
    gaussian policy's answers always carry it, and it needs no path.
    """

    def reference_path(self, base: Prepared, noise: Tensor | None) -> ReferencePath:
        """Return where distributions are compared: the path that the unperturbed observation takes, one row."""


@runtime_checkable
class AttentionPolicy(TokenPolicy, Protocol):
    """A policy that can tell what its action attends to."""

    def attention(self, encoded: Encoded, noise: Tensor | None) -> TokenScores:
        """Return the attention that every token of ``encoded`` gets, and in words from where and over what."""


@runtime_checkable
class KnockOutPolicy(TokenPolicy, Protocol):
    """A policy whose action part can be kept from reading chosen positions of a context that is computed once."""

    def run_knocked_out(self, encoded: Encoded, hidden: Tensor, noise: Tensor | None) -> Actions:
        """Act on N variants in which the action part cannot attend to the tokens in ``hidden`` bool [N, L].

        Other tokens have already taken in what the hidden ones hold: this tells what is read at these positions, not
        what the input there causes.
        """


@runtime_checkable
class HeadPolicy(TokenPolicy, Protocol):
    """A policy whose attention heads can be ablated; ``heads`` names all of them, such as ``layer 0 head 3``."""

    heads: tuple[str, ...]

    def head_outputs(self, encoded: Encoded, noise: Tensor | None) -> Tensor:
        """Return every head's output for one observation, averaged over positions, float32 [H, E]."""

    def run_heads(self, encoded: Encoded, ablated: Tensor, means: Tensor, noise: Tensor | None) -> Actions:
        """Act on N variants; heads in ``ablated`` bool [N, H] give ``means`` [H, E] at every position instead."""
