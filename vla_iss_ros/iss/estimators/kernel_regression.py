# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Gaussian-process regression of how the action moves on the interventions that moved it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vla_iss_ros.iss.estimators.coalition_kernel import (
    PRIOR_DEVIATION,
    SCALARS,
    CoalitionKernel,
    Interventions,
    Surface,
)

# Adam (Kingma and Ba, 2015), with a memory short enough for a dozen steps.
RATE = 0.4
DECAYS = (0.8, 0.95)
NOISE = SCALARS.index("noise") - len(SCALARS)
KEPT_ENERGY = 0.9999
JITTER = 1e-6  # of the prior variance
ROUNDING = (1e-10, 1e-8, 1e-6, 1e-4)  # of the variance
CHUNK = 1024  # interventions that are predicted at once


@dataclass(frozen=True)
class Answers:
    """Moves of the action after ``interventions``.

    ``scores`` float64 [N, p]: the moves' coordinates along their p main directions, which hold all but a ten
    thousandth of their energy; ``outputs``: how many numbers an action has.
    """

    interventions: Interventions
    scores: Tensor
    outputs: int

    @classmethod
    def of(cls, interventions: Interventions, moves: Tensor) -> Answers:
        """Return the answers with ``moves`` [N, TA] in the order of ``interventions``."""
        moves = moves.double()
        if len(moves) < moves.shape[1]:
            energy, vectors = torch.linalg.eigh(moves @ moves.T)
            scores = vectors * energy.clamp_min(0).sqrt()
        else:
            energy, vectors = torch.linalg.eigh(moves.T @ moves)
            scores = moves @ vectors
        energy, scores = energy.flip(0).clamp_min(0), scores.flip(1)
        kept = int((energy.cumsum(0) < KEPT_ENERGY * energy.sum()).sum()) + 1
        return cls(interventions, scores[:, :kept].contiguous(), moves.shape[1])


def learn(surface: Surface, probability: float, answers: Answers, start: Tensor, steps: int) -> Tensor:
    """Return hyperparameters under which the answers are likely: ``start`` after ``steps`` of Adam.

    Where nothing moved there is nothing to learn: ``start``.
    """
    values, mean, square = start, torch.zeros_like(start), torch.zeros_like(start)
    if not float(answers.scores.square().sum()) > 0:
        return start
    for step in range(1, steps + 1):
        _, slope = negative_log_posterior(surface, probability, answers, values)
        mean = DECAYS[0] * mean + (1 - DECAYS[0]) * slope
        square = DECAYS[1] * square + (1 - DECAYS[1]) * slope.square()
        rate = RATE * min(1.0, 2 * (1 - (step - 1) / steps))
        direction = mean / ((square / (1 - DECAYS[1] ** step)).sqrt() + 1e-9)
        values = values - rate / (1 - DECAYS[0] ** step) * direction
    return values


def negative_log_posterior(
    surface: Surface, probability: float, answers: Answers, values: Tensor
) -> tuple[float, Tensor]:
    """Return the negative log posterior of the hyperparameters up to a constant, and its gradient [C + V + 6].

    All outputs share kernel and scale, and the scale is profiled out. They count as one output: an action's numbers
    move together, and counting each would make the hyperparameters far too sure of themselves.
    """
    kernel, given = CoalitionKernel(surface, values, probability), answers.interventions
    overlap, fading = kernel.overlap(given, given), kernel.fading(given, given)
    gram = kernel.of_overlap(overlap, fading)
    inverse, log_determinant = _invert(gram, kernel.noise)
    alpha = inverse @ answers.scores
    count, energy = len(given), float((answers.scores * alpha).sum())
    value = 0.5 * (count * math.log(energy) + log_determinant + float(values.square().sum()))
    outer = torch.addmm(inverse, alpha, alpha.T, beta=0.5, alpha=-0.5 * count / energy)
    slope = kernel.gradient(given, gram, overlap, fading, outer) + values
    slope[NOISE] += kernel.noise * float(outer.diagonal().sum()) * PRIOR_DEVIATION[NOISE]
    return value, slope


def log_evidence(
    kernel: CoalitionKernel, answers: Answers, early: Tensor, ages: Sequence[float]
) -> list[float]:
    """Return the log likelihood of the answers as one output, were the ``early`` ones older than they are, by ``ages``.

    ``early`` bool [N]: answers that were given no later than the others; ``ages`` in frames. The scale is profiled out;
    up to a constant. 0 where nothing moved: such answers tell no kernel from another.
    """
    # Early ones first, for age weakens only what they say of the others: their own part is factored once.
    order, count = (~early).to(torch.uint8).argsort(stable=True), int(early.sum())
    gram = kernel.gram(answers.interventions, answers.interventions)[order[:, None], order]
    scores = answers.scores[order]
    root = _root(gram[:count, :count], kernel.noise)
    across = torch.linalg.solve_triangular(root, gram[:count, count:], upper=False)
    own = torch.linalg.solve_triangular(root, scores[:count], upper=False)
    explained, expected = across.T @ across, across.T @ own
    own_energy, own_size = float(own.square().sum()), float(root.diagonal().log().sum())
    found = []
    for age in ages:
        weight = math.exp(-kernel.drift * age)
        root = _root(gram[count:, count:] - weight**2 * explained, kernel.noise)
        rest = torch.linalg.solve_triangular(root, scores[count:] - weight * expected, upper=False)
        energy = own_energy + float(rest.square().sum())
        size = own_size + float(root.diagonal().log().sum())
        found.append(-0.5 * len(gram) * math.log(energy) - size if energy > 0 else 0.0)
    return found


def _invert(gram: Tensor, noise: float) -> tuple[Tensor, float]:
    root = _root(gram, noise)
    return torch.cholesky_inverse(root), 2 * float(root.diagonal().log().sum())


def _root(gram: Tensor, noise: float) -> Tensor:
    """Return the Cholesky factor of ``gram`` with ``noise`` on its diagonal, and more where rounding asks for more."""
    noisy, size = gram.clone(), float(gram.diagonal().mean())
    noisy.diagonal().add_(noise)
    for more in ROUNDING:
        root, failed = torch.linalg.cholesky_ex(noisy)
        if not failed:
            return root
        noisy.diagonal().add_(more * size)
    return torch.linalg.cholesky(noisy)


@dataclass(frozen=True)
class Posterior:
    """What the answers say of the answers to other interventions."""

    kernel: CoalitionKernel
    answers: Answers
    inverse: Tensor
    alpha: Tensor

    @classmethod
    def of(cls, kernel: CoalitionKernel, answers: Answers) -> Posterior:
        """Condition on the answers."""
        gram = kernel.gram(answers.interventions, answers.interventions)
        inverse, _ = _invert(gram, kernel.noise)
        return cls(kernel, answers, inverse, inverse @ answers.scores)

    @property
    def deviations(self) -> Tensor:
        """Prior standard deviation of every score, [p]."""
        return ((self.answers.scores * self.alpha).sum(0) / len(self.alpha)).clamp_min(0).sqrt()

    def mean(self, at: Interventions) -> Tensor:
        """Return the expected scores [n, p]."""
        return self.kernel.gram(at, self.answers.interventions) @ self.alpha

    def divergence(self, at: Interventions) -> Tensor:
        """Return the mean squared move [n] of the expected answer."""
        chunks = [self.mean(chunk).square().sum(1) for chunk in at.chunks(CHUNK)]
        return torch.cat(chunks) / self.answers.outputs

    def divergence_left_out(self) -> Tensor:
        """Return the same for the answers' own interventions, each expected from all others, [N].

        Closed form of leave-one-out prediction (Rasmussen and Williams, 2006, section 5.4.2).
        """
        left_out = self.answers.scores - self.alpha / self.inverse.diagonal()[:, None]
        return left_out.square().sum(1) / self.answers.outputs

    def divergence_errors(self, at: Interventions, outputs: int, normal: Tensor) -> Tensor:
        """Return draws of the divergence [n, S] less its mean's, from standard ``normal`` [n, outputs, S].

        Only the first ``outputs`` scores are drawn; the others move the action less.
        """
        across = self.kernel.gram(at, self.answers.interventions)
        prior = self.kernel.gram(at, at)
        covariance = prior - across @ self.inverse @ across.T
        # Where little is left of the prior, rounding must not make it indefinite.
        root = _root(covariance, JITTER * float(prior.diagonal().mean()))
        expected = (across @ self.alpha[:, :outputs])[:, :, None]
        moved = (root @ normal.flatten(1)).view_as(normal) * self.deviations[:outputs, None]
        return (moved * (2 * expected + moved)).sum(1) / self.answers.outputs
