# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""An emulator of the policy over interventions, corrected by what it gets wrong."""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from vla_iss_ros.iss.estimators.coalition_kernel import CoalitionKernel, Interventions, Surface
from vla_iss_ros.iss.estimators.interface import Estimate, SampledEstimator, check_block
from vla_iss_ros.iss.estimators.kernel_regression import Answers, Posterior, learn, log_evidence
from vla_iss_ros.iss.estimators.memory import Memory
from vla_iss_ros.iss.estimators.quadrature import contrasts, crossed, spread

FIRST_STEPS = 12
STEPS = 6
RELEARN = 2  # times as many samples as before, and learning goes on
CHEAP = 96  # samples, up to which a few more steps cost little beside the policy's runs
LEARNED = 192  # samples that hyperparameters are learned from at the most
EMULATED = 384  # samples that the emulator is conditioned on at the most; all samples correct it
REMEMBERED = 128
TESTED = 128  # samples of a frame that judge what is remembered
# Coalitions that the emulator is asked about: as many as there are samples, so that its integration error falls with
# theirs, within these.
MASKS, MOST_MASKS = 256, 2048
MOST_CROSSED = 8  # pictures that each mask is tried with; beyond, each mask has one
ERROR_MASKS = 192
ERROR_OUTPUTS = 3
ERROR_DRAWS = 48
# Posterior deviations are multiplied by this, for what they leave out: doubt about the hyperparameters and about the
# kernel itself. Chosen on episodes outside of the sample bag so that intervals cover; benchmarks/estimators.py measures
# how they do.
WIDENING = 2.0
WEAKENINGS = (0.0, 4.0)  # frames
UNRELATED = 1e6  # frames


class Emulator(SampledEstimator):
    """Gaussian-process emulator of the action's displacement, corrected by a regression of what it gets wrong.

    The emulator predicts how the whole action moves, all its numbers, for any set of replaced cells and any baseline
    picture, interactions included; :mod:`~vla_iss_ros.iss.estimators.coalition_kernel` says what it believes. Its
    contrast is taken from its own predictions on fixed interventions. What it misses on the samples, each predicted
    from the others, is regressed on the cells and added, so that the estimate is consistent as ``spatial`` is. How
    much each cell weighs is learned by marginal likelihood (relevance determination, MacKay 1994), on top of how far
    its pixels change. Only for action MSE.

    The standard error is the posterior's, widened by a factor that was chosen for coverage; it is no bound, and errors
    of different cells are not independent: ``draws`` hold them together.
    """

    uses_moves = True
    _aside = ThreadPoolExecutor(1, "vla_iss_ros emulator")

    def _begin(self) -> None:
        super()._begin()
        products = self._products
        self._surface = None if products is None else Surface.of(products, self._positions)
        self._memory: Memory | None = None
        self._values: Tensor | None = None
        self._learned_from = 0
        self._underway: Future[tuple[Memory | None, Tensor]] | None = None
        self._conditioned: tuple[Posterior, Tensor, Memory | None] | None = None

    def update(
        self, replaced: Tensor, delta: Tensor, pictures: Tensor | None = None, moves: Tensor | None = None
    ) -> None:
        """Take in a block with its moves; raises ValueError on another shape or on values that are not finite."""
        if self._surface is not None:
            check_block(replaced, delta, pictures, self._surface.pictures)
        super().update(replaced, delta, pictures, moves)
        self._conditioned = None

    def recall(self, memory: Memory) -> None:
        """Build on samples of earlier frames; the faster answers are found to change, the less they count."""
        self._memory, self._values = memory, memory.values

    def prepare(self) -> None:
        """Learn from the samples so far in another thread, while the policy runs on the next ones.

        What is learned depends on when this is called, not on how long it takes.
        """
        if not self._overdue(RELEARN * self._learned_from) or not bool(self._moves().any()):
            return
        self._await_learning()
        samples, surface, start, memory = self._rows(), self._cells(), self._start(), self._memory
        probability = self.probability

        def task() -> tuple[Memory | None, Tensor]:
            recalled = _recalled(memory, samples, surface, probability)
            answers, _ = _answers(samples, recalled, LEARNED)
            if recalled is None and memory is not None:
                return None, learn(surface, probability, answers, *_unlearned(surface))
            return memory, learn(surface, probability, answers, *start)

        self._learned_from = self._count()
        self._underway, self._conditioned = self._aside.submit(task), None

    def estimate(self) -> Estimate:
        """Return ISS, contrast, standard error and draws from all blocks so far."""
        replaced, delta, pictures = self._samples.together()
        if not bool(self._moves().any()):
            return self._without_emulator(replaced, delta, pictures)
        posterior, order, remembered = self._condition()
        generator = torch.Generator().manual_seed(self.seed)
        drawn = self._aside.submit(self._errors, posterior, generator)
        expected, rule_doubt = self._expected(posterior)
        own = order.argsort()[len(remembered) if remembered else 0 :]
        missed = delta - self._predicted(posterior, own, replaced, pictures)
        correction, doubt = contrasts(replaced, pictures, missed[:, None], posterior.kernel.weights)
        contrast = expected + correction[:, 0]
        errors = WIDENING * drawn.result()
        rest = (WIDENING**2 * doubt + rule_doubt).sqrt()
        deviation = (errors.square().mean(0) + rest.square()).sqrt()
        errors += rest * torch.randn(errors.shape, generator=generator, dtype=torch.float64)
        iss = delta.mean() + (1 - self.probability) * contrast
        return Estimate(iss, contrast, deviation, len(delta), contrast + errors)

    def _without_emulator(self, replaced: Tensor, delta: Tensor, pictures: Tensor) -> Estimate:
        """Return what the correction says alone: nothing moved on the samples that the emulator would learn from."""
        contrast, doubt = contrasts(replaced, pictures, delta[:, None], torch.ones_like(replaced[0]))
        iss = delta.mean() + (1 - self.probability) * contrast[:, 0]
        moved = bool((delta != 0).any())
        error = WIDENING * doubt.sqrt() if moved else torch.full_like(doubt, math.nan)
        return Estimate(iss, contrast[:, 0], error, len(delta))

    def memory(self) -> Memory | None:
        """Return what the next frame can build on, None before anything moved."""
        if not bool(self._moves().any()):
            return self._memory
        posterior, _, remembered = self._condition()
        replaced, _, pictures = self._samples.together()
        samples = (replaced.bool(), pictures, self._samples.moves().float())
        values = posterior.kernel.values
        if remembered is None:
            return Memory.of(*samples, values, REMEMBERED)
        return remembered.joined(*samples, values, REMEMBERED)

    def _condition(self) -> tuple[Posterior, Tensor, Memory | None]:
        """Return the emulator, the order of its samples (remembered ones come first), and what it remembers."""
        if self._conditioned is not None:
            return self._conditioned
        self._await_learning()
        values, steps = self._start()
        remembered = _recalled(self._memory, self._rows(), self._cells(), self.probability)
        dropped = remembered is None and self._memory is not None
        if dropped:
            # What was learned from answers that mislead misleads as well.
            values, steps = _unlearned(self._cells())
        least = RELEARN * self._learned_from
        if dropped or self._overdue(least if self._count() <= CHEAP else least + 1):
            recent, _ = _answers(self._rows(), remembered, LEARNED)
            values = learn(self._cells(), self.probability, recent, values, steps)
        kernel = CoalitionKernel(self._cells(), values, self.probability)
        answers, order = _answers(self._rows(), remembered, REMEMBERED + EMULATED)
        self._conditioned = Posterior.of(kernel, answers), order, remembered
        return self._conditioned

    def _await_learning(self) -> None:
        if self._underway is not None:
            (self._memory, self._values), self._underway = self._underway.result(), None

    def _overdue(self, least: int) -> bool:
        """Tell whether to learn more: at ``least`` samples, unless all that the emulator takes were learned from."""
        return self._learned_from < EMULATED and self._count() >= least

    def _start(self) -> tuple[Tensor, int]:
        """Return the hyperparameters to start from, and the steps to take."""
        if self._values is None:
            return _unlearned(self._cells())
        return self._values, STEPS

    def _cells(self) -> Surface:
        """Return what is known of the cells; without products the pictures that were used are taken to be unlike."""
        if self._surface is None:
            replaced, _, pictures = self._samples.together()
            count = max(self.pictures, int(pictures.max()) + 1)
            products = torch.eye(count).expand(replaced.shape[1], -1, -1)
            self._surface = Surface.of(products, self._positions)
        return self._surface

    def _count(self) -> int:
        return sum(self._samples.block_lengths)

    def _moves(self) -> Tensor:
        return self._samples.moves()[:EMULATED]

    def _rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return replaced cells, pictures and moves of the samples that the emulator is conditioned on."""
        replaced, _, pictures = self._samples.together()
        return replaced[:EMULATED], pictures[:EMULATED], self._moves()

    def _expected(self, posterior: Posterior) -> tuple[Tensor, Tensor]:
        """Return the emulator's own contrast [C], and the variance [C] that comes from the nodes being few."""
        cells, pictures = self._shape()
        masks = min(max(MASKS, 2 ** math.ceil(math.log2(self._count()))), MOST_MASKS)
        if pictures <= MOST_CROSSED:
            nodes = crossed(cells, pictures, self.probability, masks)
            divergence = posterior.divergence(nodes).view(pictures, masks).mean(0)
            replaced, group = nodes.replaced[:masks], torch.zeros(masks, dtype=torch.int64)
        else:
            nodes = spread(cells, pictures, self.probability, MOST_CROSSED * masks)
            replaced, group, divergence = nodes.replaced, nodes.pictures, posterior.divergence(nodes)
        mean, variance = contrasts(replaced, group, divergence[:, None], posterior.kernel.weights)
        return mean[:, 0], variance

    def _errors(self, posterior: Posterior, generator: torch.Generator) -> Tensor:
        """Return draws of the error of the emulator's contrast, [S, C]."""
        nodes = spread(*self._shape(), self.probability, ERROR_MASKS)
        outputs = min(ERROR_OUTPUTS, posterior.alpha.shape[1])
        normal = torch.randn(len(nodes), outputs, ERROR_DRAWS, generator=generator, dtype=torch.float64)
        errors = posterior.divergence_errors(nodes, outputs, normal)
        weights = posterior.kernel.weights
        return contrasts(nodes.replaced, nodes.pictures, errors, weights)[0].T.contiguous()

    def _shape(self) -> tuple[int, int]:
        surface = self._cells()
        return len(surface.log_change), surface.pictures

    def _predicted(self, posterior: Posterior, own: Tensor, replaced: Tensor, pictures: Tensor) -> Tensor:
        """Return the divergence [N] that the emulator expects of the frame's samples, each without having seen it."""
        left_out = posterior.divergence_left_out()[own]
        if len(own) == len(replaced):
            return left_out
        rest = replaced[len(own) :], pictures[len(own) :], torch.zeros(len(replaced) - len(own))
        at, order = Interventions.sort(*rest)
        return torch.cat([left_out, posterior.divergence(at)[order.argsort()]])


def _unlearned(surface: Surface) -> tuple[Tensor, int]:
    """Return the hyperparameters before anything was learned, and the steps to take from there."""
    return CoalitionKernel.prior_values(surface), FIRST_STEPS


def _recalled(
    memory: Memory | None, samples: tuple[Tensor, Tensor, Tensor], surface: Surface, probability: float
) -> Memory | None:
    """Return the memory as it is, weakened, or None: whichever makes this frame's answers likeliest.

    An innovation test, as adaptive Kalman filters have (Mehra, 1970): where the scene jumped, old answers mislead.
    """
    if memory is None or not len(memory):
        return None
    kernel = CoalitionKernel(surface, memory.values, probability)
    replaced, pictures, moves = samples
    own = replaced[-TESTED:], pictures[-TESTED:], moves[-TESTED:]
    answers, order = _answers(own, memory, REMEMBERED + TESTED)
    ages = (*WEAKENINGS, UNRELATED)
    evidence = log_evidence(kernel, answers, order < len(order) - len(own[0]), ages)
    best = ages[max(range(len(ages)), key=evidence.__getitem__)]
    return None if best == UNRELATED else memory.aged(best)


def _answers(
    samples: tuple[Tensor, Tensor, Tensor], memory: Memory | None, most: int
) -> tuple[Answers, Tensor]:
    """Return the last ``most`` samples of memory and frame, with their order."""
    replaced, pictures, moves = samples
    times = torch.zeros(len(moves), dtype=torch.float64)
    if memory is not None:
        replaced = torch.cat([memory.replaced.double(), replaced])
        pictures = torch.cat([memory.pictures, pictures])
        moves, times = torch.cat([memory.moves.double(), moves]), torch.cat([memory.times, times])
    given, order = Interventions.sort(replaced[-most:], pictures[-most:], times[-most:])
    return Answers.of(given, moves[-most:][order]), order
