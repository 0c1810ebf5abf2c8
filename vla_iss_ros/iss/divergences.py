# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How far an action distribution moved: divergences of every row's answer from the unperturbed one.

Which of them a policy can be compared by is in ``PolicySpec.distribution``; action MSE is there for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from vla_iss_ros.iss.distributions import KINDS, Categorical, DenoisingMeans, Gaussian, Velocities
from vla_iss_ros.iss.observation import Actions

GAUSSIAN, CATEGORICAL, FLOW, DDPM = KINDS
Kind = TypeVar("Kind", Gaussian, Categorical, Velocities, DenoisingMeans)


class Divergence(Protocol):
    """A divergence from the unperturbed answer.

    ``needs``: the kind of distribution that it compares (a key of ``distributions.KINDS``), empty for the action
    chunk. ``quadratic``: whether it is the mean of squared moves, which estimators that regress moves need.
    """

    needs: str
    quadratic: bool

    def __call__(self, actions: Actions, reference: Actions) -> Tensor:
        """Return the divergence of each of N answers from ``reference``, one row, float32 [N]; 0 where they agree."""

    def moves(self, actions: Actions, reference: Actions) -> Tensor:
        """Return moves float32 [N, M] whose mean square is the divergence; raises ValueError where there are none."""


class _Quadratic:
    """A divergence that is the mean of squared moves."""

    needs = ""
    quadratic = True

    def __call__(self, actions: Actions, reference: Actions) -> Tensor:
        return self.moves(actions, reference).square().mean(1)

    def moves(self, actions: Actions, reference: Actions) -> Tensor:
        raise AssertionError(f"{type(self).__name__} says how it moves")


class ActionMse(_Quadratic):
    """Mean squared difference of the normalised chunk over steps and action dimensions.

    Up to a constant it is the KL divergence of two isotropic Gaussians of one fixed variance; it says nothing of where
    the robot ends up.
    """

    def __call__(self, actions: Actions, reference: Actions) -> Tensor:
        """Return the divergences, float32 [N], squared normalised action units."""
        return (actions.normalised - reference.normalised).square().mean((1, 2))

    def moves(self, actions: Actions, reference: Actions) -> Tensor:
        """Return the change of the normalised action, float32 [N, TA]."""
        return (actions.normalised - reference.normalised).flatten(1)


class FlowPathKl(_Quadratic):
    """Path KL of two flows on the linear path x_t = t noise + (1 - t) action, in nats.

    The integral over t of (1 - t) / t times the squared difference of velocities at the same x_t of a reference path:
    by Girsanov's theorem with diffusion g^2 = 2t / (1 - t), the KL of the equivalent SDE samplers on that path, which
    bounds that of the actions. One noise draw is one sample of the expectation over paths. The integral ends at the
    least time of the policy's own steps. It is not the KL of the deterministic sampler, which has none.
    """

    needs = FLOW

    def moves(self, actions: Actions, reference: Actions) -> Tensor:
        """Return the weighted changes of velocity, float32 [N, STA]."""
        ours, theirs = _of(actions, Velocities), _of(reference, Velocities)
        weight = (1 - ours.times) / ours.times * ours.widths
        change = (ours.values - theirs.values).flatten(2) * weight.to(ours.values).sqrt()[:, None]
        return change.flatten(1) * (change.shape[1] * change.shape[2]) ** 0.5


class DdpmPathKl(_Quadratic):
    """KL of two DDPM samplers along a reference path, in nats: sum over steps of squared mean change / (2 variance).

    Steps share their variance, so each term is the KL of two Gaussians; the sum over a path bounds the KL of the
    actions. One path is one sample of the expectation. A DDIM sampler draws no noise and has no such KL.
    """

    needs = DDPM

    def moves(self, actions: Actions, reference: Actions) -> Tensor:
        """Return the changes of the means in units of their steps' deviation, float32 [N, STA]."""
        ours, theirs = _of(actions, DenoisingMeans), _of(reference, DenoisingMeans)
        change = (ours.values - theirs.values).flatten(2) * (2 * ours.variances).rsqrt()[:, None]
        return change.flatten(1) * (change.shape[1] * change.shape[2]) ** 0.5


class _Plain:
    """A divergence without moves."""

    quadratic = False

    def moves(self, actions: Actions, reference: Actions) -> Tensor:
        """Raise ValueError: there are none."""
        raise ValueError(f"{type(self).__name__} is no mean of squared moves; use an estimator without moves")


class GaussianKl(_Plain):
    """KL(unperturbed || perturbed) of independent Gaussians, summed over all numbers of the action, in nats."""

    needs = GAUSSIAN

    def __call__(self, actions: Actions, reference: Actions) -> Tensor:
        """Return the divergences, float32 [N]."""
        ours, theirs = _of(actions, Gaussian), _of(reference, Gaussian)
        ratio = theirs.variance / ours.variance
        terms = ratio - 1 - ratio.log() + (ours.mean - theirs.mean).square() / ours.variance
        return 0.5 * terms.flatten(1).sum(1)


class CategoricalKl(_Plain):
    """KL(unperturbed || perturbed) of the action tokens' distributions, summed over tokens, in nats.

    Every token is conditional on the unperturbed observation's greedy tokens before it (teacher forced): exact per
    token given that path; the joint KL is its expectation over the policy's own paths.
    """

    needs = CATEGORICAL

    def __call__(self, actions: Actions, reference: Actions) -> Tensor:
        """Return the divergences, float32 [N]."""
        ours = _of(actions, Categorical).logits.log_softmax(-1)
        theirs = _of(reference, Categorical).logits.log_softmax(-1)
        return (theirs.exp() * (theirs - ours)).flatten(1).sum(1)


REGISTRY: Mapping[str, Divergence] = {
    "action_mse": ActionMse(),
    "gaussian_kl": GaussianKl(),
    "categorical_kl": CategoricalKl(),
    "flow_path_kl": FlowPathKl(),
    "ddpm_path_kl": DdpmPathKl(),
}


def for_policy(name: str, policy: Any, uses_moves: bool) -> Divergence:
    """Return a divergence; raises ValueError when the policy or the estimator cannot go with it.

    ``uses_moves``: whether the estimator regresses moves.
    """
    divergence = REGISTRY[name]
    offered = getattr(policy.spec, "distribution", "")
    if divergence.needs and divergence.needs != offered:
        fitting = [key for key, other in REGISTRY.items() if other.needs in ("", offered)]
        raise ValueError(
            f"divergence {name} compares {divergence.needs} distributions and {type(policy).__name__} gives "
            f"{offered or 'its action chunk alone'}; set divergence to {' or '.join(fitting)}"
        )
    if needs_path(divergence) and not hasattr(policy, "reference_path"):
        raise ValueError(
            f"divergence {name} needs a policy with reference_path and {type(policy).__name__} has none; "
            "set divergence to action_mse"
        )
    if uses_moves and not divergence.quadratic:
        raise ValueError(
            f"divergence {name} is no mean of squared moves, which this estimator regresses; set estimator to spatial"
        )
    return divergence


def mean_divergence(divergence: Divergence, answers: Sequence[Actions], reference: Actions) -> float:
    """Return the mean divergence of all rows of ``answers``, of one or several batches, from ``reference``."""
    return float(torch.cat([divergence(actions, reference) for actions in answers]).double().mean())


def _of(actions: Actions, kind: type[Kind]) -> Kind:
    if not isinstance(actions.distribution, kind):
        found = "none" if actions.distribution is None else type(actions.distribution).__name__
        raise ValueError(f"the policy's answer must carry {kind.__name__}, got {found}; check its adapter")
    return actions.distribution


def needs_path(divergence: Divergence) -> bool:
    """Tell whether answers must be taken along the unperturbed observation's path."""
    return divergence.needs not in ("", GAUSSIAN)
