# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The loop's inner part: what the policy answers to interventions, and how far that is from its answer without."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vla_iss_ros.iss.aside import Aside, Painter
from vla_iss_ros.iss.blocks import Block
from vla_iss_ros.iss.divergences import Divergence
from vla_iss_ros.iss.lane import Lane, arithmetic, lane_to, refuse_precision
from vla_iss_ros.iss.observation import Actions
from vla_iss_ros.iss.pacing import Pace
from vla_iss_ros.iss.subjects import ExplainablePolicy, SharedRun, Subject

# As torch says it: of a GPU, of a library on a GPU, of the host (Linux, then Windows).
OUT_OF_MEMORY = ("out of memory", "_STATUS_ALLOC_FAILED", "can't allocate memory", "not enough memory")


@dataclass
class Resources:
    """What outlives a frame: the lane to the device, a thread beside, and the most rows in one run of the policy.

    ``rows`` shrinks when memory runs out, so that a size that did not fit is tried once.
    """

    rows: int
    lane: Lane
    precision: str = "float32"
    pace: Pace = field(default_factory=Pace)
    aside: Aside = field(default_factory=Aside)

    @property
    def rows_now(self) -> int:
        """The most rows of the next run: what fits the memory and the time that a run may take."""
        return self.rows if self.pace.rows is None else min(self.rows, self.pace.rows)

    @classmethod
    def of(cls, policy: ExplainablePolicy, settings: Any, beside: Pace | None = None) -> Resources:
        """Return those that ``settings`` ask for; raises ValueError for a precision that the device has not."""
        refuse_precision(settings.precision, policy.device)
        return cls(settings.batch_size, lane_to(policy.device), settings.precision, Pace.of(settings, beside))

    def painter(self, subject: Subject) -> Painter:
        """Return what makes the variants of ``subject``."""
        return Painter(subject, self.aside if self.lane.on_host else None)


class Evaluator:
    """Measures interventions on one observation.

    ``subject`` is what they act on, ``shared`` how the policy is run on every row; ``first`` the block that will be
    measured first, where one is known to come. ``on_run`` is called before each run of the policy; what it raises ends
    the work. ``reference`` holds the answer
    [1, T, A] to the observation as it is, ``noise_floor`` the largest divergence of that answer from itself,
    ``seconds`` the time within the policy, ``rows`` how many rows it was run on. Raises ValueError when the policy's
    answer is not finite.
    """

    def __init__(
        self,
        subject: Subject,
        shared: SharedRun,
        divergence: Divergence,
        resources: Resources,
        first: Future[Block | None] | None = None,
        on_run: Callable[[], object] = lambda: None,
    ) -> None:
        self._subject, self._shared, self._on_run = subject, shared, on_run
        self._divergence, self._resources, self._lane = divergence, resources, resources.lane
        self._painter = resources.painter(subject)
        self._marks: list[tuple[Any, Any]] = []
        self._begun: float | None = None
        self.seconds = 0.0
        self.rows = 0
        self.noise_floor = 0.0
        self._paint_first_of(first)
        self.reference = self.ask(lambda: subject.unperturbed(shared))

    def measure(
        self,
        replaced: Tensor,
        chosen: Tensor,
        with_moves: bool,
        following: Future[Block | None] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return every intervention's divergence, float64 [n], and if asked for its move, float32 [n, TA].

        ``replaced`` bool [n, C] tells the cells that are replaced, ``chosen`` int64 [n] the picture that they are
        replaced from; both and the results are on the host. ``following``: the block that will be measured next, where
        one is known to come. A move is the change of the normalised action. Out of memory, the batch is halved and the
        block measured again; the smaller size is remembered.
        """
        while True:
            try:
                return self._measure_block(replaced, chosen, with_moves, following)
            except RuntimeError as error:
                if not self._can_shrink(error):
                    raise
            # Outside of the handler, where the error's traceback still holds the failed batch.
            self._shrink(len(replaced) + 1)

    def ask_in_parts(self, run: Callable[[slice], Actions], count: int) -> list[Actions]:
        """Run the policy on ``count`` rows, told which, in batches as large as may be; they shrink as above."""
        answers: list[Actions] = []
        start = 0
        while start < count:
            part = slice(start, min(count, start + max(1, self._resources.rows_now)))
            try:
                answers.append(self.ask(partial(run, part)))
                start = part.stop
                continue
            except RuntimeError as error:
                if not self._can_shrink(error):
                    raise
            self._shrink(part.stop - part.start)
        return answers

    def ask(self, run: Callable[[], Actions]) -> Actions:
        """Run the policy once and wait; raises ValueError for an answer that is not finite."""
        with self._lane.entered():
            actions = self._answer(run)
            actions.require_finite()  # waits for the device
            self._count(len(actions.normalised))
        return actions

    def repeat(self, times: int) -> None:
        """Ask for the unperturbed answer again; how far a policy's own noise moves it goes into ``noise_floor``."""
        for _ in range(times):
            again = self.ask(lambda: self._subject.unperturbed(self._shared))
            self.noise_floor = max(self.noise_floor, float(self._divergence(again, self.reference)[0]))

    def end_sampling(self) -> None:
        """Give back what was painted for a block that will not come."""
        self._painter.forget()

    def seconds_by_now(self) -> float:
        """Return the time within the policy, that of a run under way included; other threads may ask."""
        finished, begun = self.seconds, self._begun
        return finished if begun is None else finished + time.perf_counter() - begun

    def _can_shrink(self, error: RuntimeError) -> bool:
        return self._resources.rows > 2 and out_of_memory(error)

    def _shrink(self, tried: int) -> None:
        """Halve the batch, from the rows that were tried, and give back what it took."""
        self._resources.rows = max(2, min(self._resources.rows, tried) // 2)
        self._marks.clear()
        self._begun = None
        self._painter.forget()
        self._lane.release()

    def _measure_block(
        self, replaced: Tensor, chosen: Tensor, with_moves: bool, following: Future[Block | None] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Start all batches of the block, then wait once; only what the estimators use comes to the host."""
        with self._lane.entered():
            masks, pictures = (self._lane.to_device(each) for each in self._batches(replaced, chosen))
            answers = []
            for number in range(len(masks)):
                variants = self._painter.paint(masks[number], pictures[number])
                if number + 1 < len(masks):
                    self._painter.paint_ahead(partial(_row, masks, pictures, number + 1))
                else:
                    self._paint_first_of(following)
                answers.append(self._answer(partial(self._subject.act, self._shared, variants)))
            results = [torch.stack([self._divergences(actions) for actions in answers])]
            results.append(torch.stack([actions.normalised.isfinite().all() for actions in answers]))
            if with_moves:
                results.append(torch.stack([self._moves(actions) for actions in answers]))
            deltas, finite, *moves = self._lane.to_host(*results)
        if not finite.all():
            for actions in answers:
                actions.require_finite()
        self._count(masks.shape[0] * masks.shape[1])
        self.noise_floor = max(self.noise_floor, float(deltas[:, 0].max()))
        delta = deltas[:, 1:].flatten()[: len(replaced)].double()
        # A copy: estimators keep the moves, and pinned memory is scarce.
        return delta, moves[0].flatten(0, 1)[: len(replaced)].clone() if moves else None

    def _paint_first_of(self, coming: Future[Block | None] | None) -> None:
        """Begin to paint the first batch of the block that comes next."""

        def batch() -> tuple[Tensor, Tensor] | None:
            block = coming.result() if coming is not None else None
            return None if block is None else _row(*self._batches(block.replaced, block.chosen), 0)

        if coming is not None:
            self._painter.paint_ahead(batch)

    def _batches(self, replaced: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Cut a block into batches of one size: masks bool [B, r, C], pictures int64 [B, r].

        Row 0 of each is the unperturbed observation and what the others are compared with: kernels chosen by batch
        size then cancel out. The last batch is filled up with it, at the price of less than one row a batch, so that
        a policy that compiles or plans for a shape does so once a block size.
        """
        count = len(replaced)
        batches = -(-count // (self._resources.rows_now - 1))
        size = -(-count // batches)
        masks = replaced.new_zeros(batches * size, replaced.shape[1])
        pictures = chosen.new_zeros(batches * size)
        masks[:count], pictures[:count] = replaced, chosen
        return (
            functional.pad(masks.unflatten(0, (batches, size)), (0, 0, 1, 0)),
            functional.pad(pictures.unflatten(0, (batches, size)), (1, 0)),
        )

    def _answer(self, run: Callable[[], Actions]) -> Actions:
        """Start the policy; the answer is float32 whatever the precision inside."""
        pace = self._resources.pace
        self._on_run()
        pace.wait()
        since = self._lane.mark()
        self._begun = self._begun or time.perf_counter()
        with arithmetic(self._resources.precision, self._shared.policy.device):
            actions = run()
        until = self._lane.mark()
        self._marks.append((since, until))
        if pace.watches:
            self._lane.to_host()  # waits for the run
            pace.note(len(actions.normalised), self._lane.seconds(since, until))
        return actions.take(slice(None))

    def _divergences(self, actions: Actions) -> Tensor:
        """Return the divergence of every row from row 0, and of row 0 from the reference, float32 [r]."""
        first = actions.take(slice(0, 1))
        delta = self._divergence(actions, first)
        return torch.cat([self._divergence(first, self.reference), delta[1:]])

    def _moves(self, actions: Actions) -> Tensor:
        """Return the move of every row but the first from the first, float32 [r - 1, M]."""
        return self._divergence.moves(actions.take(slice(1, None)), actions.take(slice(0, 1)))

    def _count(self, rows: int) -> None:
        """Book what the device has finished."""
        self._begun = None
        self.rows += rows
        self.seconds += sum(self._lane.seconds(since, until) for since, until in self._marks)
        self._marks.clear()


def _row(masks: Tensor, pictures: Tensor, number: int) -> tuple[Tensor, Tensor]:
    return masks[number], pictures[number]


def out_of_memory(error: RuntimeError) -> bool:
    """Tell whether torch ran out of memory, on a GPU, in its libraries or on the host."""
    text = str(error)
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(words in text for words in OUT_OF_MEMORY)
