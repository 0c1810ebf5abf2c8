# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The loop that joins designs, interventions, the policy and the estimators."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeVar

import torch

from vla_iss_ros.iss import designs, divergences, estimators
from vla_iss_ros.iss.blocks import Block, make_blocks
from vla_iss_ros.iss.evaluation import Evaluator, Resources
from vla_iss_ros.iss.explanation import Explanation
from vla_iss_ros.iss.frames import FrameRun
from vla_iss_ros.iss.map_ratios import ratios_of
from vla_iss_ros.iss.nmr import PERCENTS, NuisanceMassRatio
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.pacing import Pace
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.iss.spaces import REGISTRY as SPACES
from vla_iss_ros.iss.spaces import Space
from vla_iss_ros.iss.stopping import SAMPLES, StoppingRule
from vla_iss_ros.iss.stream import Stream
from vla_iss_ros.iss.subjects import ExplainablePolicy, SharedRun
from vla_iss_ros.iss.token_means import TokenMeans
from vla_iss_ros.iss.words import WordSaliency, words_of

Result = TypeVar("Result")

# Answers to the unperturbed observation that show how far a policy's own noise moves it, where that is not shared.
REPEATS = 8
# Settings that decide what a sample is; samples taken under others say nothing of this frame.
MEANING = (
    "keep_probability",
    "space",
    "token_block",
    "divergence",
    "baseline",
    "blur_sigma",
    "mask_layout",
    "quantise",
    "composite_resolution",
    "precision",
    "estimator",
)


class Explainer:
    """Explains one policy under fixed settings, frame by frame. Not thread safe: one thread owns it.

    ``settings`` has the attributes of ``vla_iss_ros.settings.METHOD``. ``donors`` are recorded observations: the
    donor baseline takes pixels from them, the effects take pictures and instructions, token space its mean embeddings
    where ``means`` has none. ``space``: what interventions act on, in the place of the one that the settings name.
    ``beside``: the pace of other runs of the policy, to which gaps are kept as well.
    Raises ValueError when the settings ask for what the policy, the donors or the means cannot give.
    """

    def __init__(
        self,
        policy: ExplainablePolicy,
        settings: Any,
        donors: Sequence[Observation] = (),
        means: TokenMeans | None = None,
        space: Space | None = None,
        beside: Pace | None = None,
    ) -> None:
        self._policy = policy
        self._settings = settings
        self._resources = Resources.of(policy, settings, beside)
        self._design = designs.REGISTRY[settings.design]()
        uses_moves = estimators.REGISTRY[settings.estimator].uses_moves
        self._divergence = divergences.for_policy(settings.divergence, policy, uses_moves)
        self._space: Space = space or SPACES[settings.space](policy, settings, donors, means)

    @property
    def batch_size(self) -> int:
        """Rows in one run of the policy; smaller than asked for where memory ran out or ``max_batch_ms`` is set."""
        return self._resources.rows_now

    @property
    def pace(self) -> Pace:
        """What is known of how long runs of the policy take."""
        return self._resources.pace

    def explain(
        self,
        observation: Observation,
        regions: RegionMap | None = None,
        stream: Stream | None = None,
        full: bool = False,
        on_map: Callable[[Explanation], None] | None = None,
        on_run: Callable[[], object] = lambda: None,
    ) -> Explanation:
        """Explain one observation; NMR is undefined without ``regions``.

        ``on_run`` is called before each run of the policy, those for effects too; an exception that it raises ends the
        work. ``on_map`` hears the explanation without its effects, in another thread, while the policy runs on to
        measure them; it has ended when this returns or raises. What it raises is raised here, unless the effects fail
        as well. ``stream`` carries what earlier frames taught, for estimators that can use it. ``full``: draw all
        samples, whatever ``time_budget`` and ``nmr_half_width`` say. Raises ValueError when the observation does not
        fit the policy or the policy's answer is not finite. Same seed, stamp and settings give the same map, whatever
        ``batch_size``; with a stream, the frames before it have a say as well.
        """
        with torch.inference_mode():
            return _Run(self, observation, stream, full, on_run).finish(regions, on_map)


class _Run:
    """The explanation of one observation, under way."""

    def __init__(
        self,
        explainer: Explainer,
        observation: Observation,
        stream: Stream | None,
        full: bool,
        on_run: Callable[[], object],
    ) -> None:
        started = time.perf_counter()
        settings, policy = explainer._settings, explainer._policy
        self._explainer, self._settings, self._policy = explainer, settings, policy
        self._observation, self._stream = observation, stream
        deadline = started + settings.time_budget if settings.time_budget > 0 and not full else float("inf")
        half_width = 0.0 if full else settings.nmr_half_width
        self._rule = StoppingRule(settings.samples, settings.block_size, deadline, half_width)
        # The stamp is part of the seed: a frame's map does not depend on which frames were explained before it.
        self._seed = (settings.seed * 0x9E3779B97F4A7C15 + observation.stamp) % 2**63
        self._generator = torch.Generator().manual_seed(self._seed)
        self._base = policy.preprocess(observation)
        self._subject = explainer._space.subject(observation, self._base)
        self._cells = self._subject.cells
        shared = SharedRun(policy, policy.sample_noise(self._generator))
        if divergences.needs_path(explainer._divergence):
            shared = shared.along_path(self._base)
        self.seconds = {"prepare": time.perf_counter() - started, "policy": 0.0, "estimate": 0.0}
        self._kind = estimators.REGISTRY[settings.estimator]
        self._aside = explainer._resources.aside
        self._blocks = make_blocks(
            self._kind.plan,
            explainer._design,
            settings,
            self._cells.count,
            self._subject.pictures,
            self._generator,
        )
        self._coming = self._next_block()
        self._evaluator = Evaluator(
            self._subject, shared, explainer._divergence, explainer._resources, self._coming, on_run
        )
        if not policy.spec.shares_noise:
            self._evaluator.repeat(REPEATS)
        self._frame = FrameRun(
            observation, self._base, self._subject, shared, self._evaluator, explainer._divergence
        )

    def finish(
        self,
        regions: RegionMap | None,
        on_map: Callable[[Explanation], None] | None,
    ) -> Explanation:
        """Sample, then estimate in another thread while the policy runs for the effects."""
        making = self._beside_the_policy(self._make_estimator)
        try:
            drawn = self._sample(making, regions)
        finally:
            wait([making])
        self._evaluator.end_sampling()
        estimator, remembered = making.result()
        words = self._explainer._space.words(self._frame)
        self.seconds["policy for the map"] = self._evaluator.seconds

        def conclude() -> Explanation:
            explanation = self._conclude(estimator, regions, words, *drawn, remembered)
            if on_map is not None:
                seconds = {**self.seconds, "policy": self._evaluator.seconds_by_now()}
                on_map(dataclasses.replace(explanation, seconds=seconds))
            self.seconds["policy until the map"] = self._evaluator.seconds_by_now()
            return explanation

        concluded = self._aside.start(conclude)
        try:
            effects = self._explainer._space.effects(self._frame) if self._settings.effects else ()
        finally:
            wait([concluded])
        explanation = concluded.result()
        self.seconds["policy"] = self._evaluator.seconds
        # The last run is timed to its end, and by now to the moment: the same to a hair.
        self.seconds["policy until the map"] = min(
            self.seconds["policy until the map"], self.seconds["policy"]
        )
        return dataclasses.replace(explanation, effects=effects)

    def _beside_the_policy(self, work: Callable[[], Result]) -> Future[Result]:
        """Have done what may need the device: in the other thread where that is the host, else here and now."""
        if self._explainer._resources.lane.on_host:
            return self._aside.start(work)
        done: Future[Result] = Future()
        done.set_result(work())
        return done

    def _conclude(
        self,
        estimator: estimators.Estimator,
        regions: RegionMap | None,
        words: tuple[WordSaliency, ...],
        samples: int,
        mean_delta: float,
        stop_reason: str,
        remembered: int,
    ) -> Explanation:
        """Return what the samples say, without effects."""
        started = time.perf_counter()
        estimate = estimator.estimate()
        ratios = self._ratios(estimate, regions, sorted({*PERCENTS, self._settings.nmr_percent}))
        if self._stream is not None:
            self._stream.keep(estimator.memory())
        self.seconds["estimate"] += time.perf_counter() - started
        return Explanation(
            stamp=self._observation.stamp,
            cells=self._cells,
            estimate=estimate,
            actions=self._evaluator.reference,
            samples=samples,
            stop_reason=stop_reason,
            noise_floor=self._evaluator.noise_floor,
            mean_delta=mean_delta,
            ratios=ratios,
            effects=(),
            shared_noise=self._policy.spec.shares_noise,
            seconds=self.seconds,
            remembered=remembered,
            forgot=self._stream.forgot if self._stream is not None else "",
            words=words_of(self._cells, estimate) or words,
            method=self._method(),
        )

    def _make_estimator(self) -> tuple[estimators.Estimator, int]:
        """Return the estimator, given what earlier frames left, and how many samples that is."""
        settings = self._settings
        estimator = self._kind(
            1 - settings.keep_probability,
            self._explainer._design.independent,
            self._cells.positions,
            self._subject.products(),
            self._subject.pictures,
        )
        estimator.seed = self._seed
        return estimator, self._recall(estimator)

    def _recall(self, estimator: estimators.Estimator) -> int:
        if self._stream is None:
            return 0
        meaning = tuple(getattr(self._settings, name) for name in MEANING)
        context = (meaning, self._cells, self._subject.pictures)
        memory = self._stream.recall(self._observation, context)
        if memory is None:
            return 0
        estimator.recall(memory)
        return len(memory)

    def _sample(
        self,
        making: Future[tuple[estimators.Estimator, int]],
        regions: RegionMap | None,
    ) -> tuple[int, float, str]:
        """Return how many samples were drawn, their mean divergence, and why no more were.

        The estimator is still being made while the policy runs on the first block.
        """
        done, total = 0, 0.0
        while (block := self._coming.result()) is not None:
            self._coming = self._next_block()
            delta, moves = self._evaluator.measure(
                block.replaced, block.chosen, self._kind.uses_moves, self._coming
            )
            estimator, _ = making.result()
            estimator.update(block.replaced, delta, block.chosen, moves)
            done, total = done + len(delta), total + float(delta.sum())
            if block.may_stop:
                reason = self._rule.reason(done, partial(self._half_width, estimator, regions))
                if reason:
                    return done, total / done, reason
                estimator.prepare()
        return done, total / done, SAMPLES

    def _next_block(self) -> Future[Block | None]:
        """Have the next interventions drawn beside the policy; None after the last."""
        return self._aside.start(next, self._blocks, None)

    def _half_width(self, estimator: estimators.Estimator, regions: RegionMap | None) -> float:
        headline = self._settings.nmr_percent
        ratio = self._ratios(estimator.estimate(), regions, [headline])[headline]
        return (ratio.high - ratio.low) / 2

    def _ratios(
        self, estimate: estimators.Estimate, regions: RegionMap | None, percents: Sequence[int]
    ) -> dict[int, NuisanceMassRatio]:
        return ratios_of(self._cells, estimate, regions, percents, self._settings, self._rule.stretch)

    def _method(self) -> str:
        """Say in words what the map is of."""
        settings = self._settings
        text = f"ISS: {self._explainer._space.described()}, {settings.divergence}, estimator {settings.estimator}"
        return text if self._policy.spec.shares_noise else f"{text}; the policy's noise is not shared"
