"""The loop that joins designs, interventions, the policy and the estimators."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss import designs, divergences, estimators, interventions
from vla_iss_ros.iss.blocks import make_blocks
from vla_iss_ros.iss.canvas import CameraSize, PolicySize
from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.effects import Effect, Replacements, mean_state_tensor, measure_effects
from vla_iss_ros.iss.evaluation import Evaluator, ExplainablePolicy, Resources
from vla_iss_ros.iss.explanation import Explanation
from vla_iss_ros.iss.nmr import PERCENTS, MapDraws, NuisanceMassRatio, nuisance_mass_ratios, undefined
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.pacing import Pace
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.iss.stopping import SAMPLES, StoppingRule
from vla_iss_ros.iss.stream import Stream

NO_REGIONS = "no regions: label images tell which positions are nuisance"
# Settings that decide what a sample is; samples taken under others say nothing of this frame.
MEANING = (
    "keep_probability",
    "baseline",
    "blur_sigma",
    "mask_layout",
    "quantise",
    "composite_resolution",
    "precision",
    "estimator",
)
DRAW_SIZE = 32  # side that views are brought to for the NMR of draws


class Explainer:
    """Explains one policy under fixed settings, frame by frame. Not thread safe: one thread owns it.

    ``settings`` has the attributes of ``vla_iss_ros.settings.METHOD``. ``donors`` are recorded observations: the
    donor baseline takes pixels from them, the effects take pictures and instructions. Raises ValueError when the
    donor baseline is asked for and there are none.
    """

    def __init__(self, policy: ExplainablePolicy, settings: Any, donors: Sequence[Observation] = ()) -> None:
        self._policy = policy
        self._settings = settings
        self._resources = Resources.of(policy, settings)
        self._design = designs.REGISTRY[settings.design]()
        self._divergence = divergences.REGISTRY["action_mse"]
        if settings.baseline == "donor" and not donors:
            raise ValueError(
                "baseline donor needs recorded frames, got none; set donors to a directory made by gather_donors, "
                "or set baseline to blur or mean_colour"
            )
        self._donors = self._prepare_donors(donors) if donors else None
        self._instructions = tuple(dict.fromkeys(donor.instruction for donor in donors if donor.instruction))
        self._baseline = interventions.make_baseline(settings, self._donors)
        self._canvases: CameraSize | PolicySize = (
            CameraSize(policy, settings, donors)
            if settings.composite_resolution == "camera"
            else PolicySize(settings)
        )

    @property
    def batch_size(self) -> int:
        """Rows in one run of the policy; smaller than asked for where memory ran out or ``max_batch_ms`` is set."""
        return self._resources.rows_now

    @property
    def pace(self) -> Pace:
        """What is known of how long runs of the policy take."""
        return self._resources.pace

    def _prepare_donors(self, donors: Sequence[Observation]) -> interventions.Donor:
        with torch.inference_mode():
            prepared = [self._policy.preprocess(donor) for donor in donors]
            return interventions.Donor(prepared, [donor.instruction for donor in donors])

    def explain(
        self,
        observation: Observation,
        regions: RegionMap | None = None,
        on_block: Callable[[int], None] | None = None,
        stream: Stream | None = None,
        full: bool = False,
    ) -> Explanation:
        """Explain one observation; NMR is undefined without ``regions``.

        ``on_block`` hears the number of samples after each block; an exception it raises ends the work. ``stream``
        carries what earlier frames taught, for estimators that can use it. ``full``: draw all samples, whatever
        ``time_budget`` and ``nmr_half_width`` say. Raises ValueError when the observation
        does not fit the policy or the policy's answer is not finite. Same seed, stamp and settings give the same map,
        whatever ``batch_size``; with a stream, the frames before it have a say as well.
        """
        with torch.inference_mode():
            return _Run(self, observation, stream, full).finish(regions, on_block)


class _Run:
    """The explanation of one observation, under way."""

    def __init__(
        self, explainer: Explainer, observation: Observation, stream: Stream | None, full: bool
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
        self._cells = CellGrid.over(self._base, settings.grid, settings.mask_layout == "stitched")
        self._pictures = explainer._baseline.pictures(self._base, observation.instruction)
        canvas = explainer._canvases.canvas(observation, self._base, self._cells, self._pictures)
        noise = policy.sample_noise(self._generator)
        self.seconds = {"prepare": time.perf_counter() - started, "policy": 0.0, "estimate": 0.0}
        self._evaluator = Evaluator(
            policy, self._base, canvas, noise, explainer._divergence, explainer._resources
        )

    def finish(self, regions: RegionMap | None, on_block: Callable[[int], None] | None) -> Explanation:
        """Sample, estimate and put the result together."""
        estimator = self._make_estimator()
        remembered = self._recall(estimator)
        samples, mean_delta, stop_reason = self._sample(estimator, regions, on_block)
        started = time.perf_counter()
        estimate = estimator.estimate()
        ratios = self._ratios(estimate, regions, sorted({*PERCENTS, self._settings.nmr_percent}))
        if self._stream is not None:
            self._stream.keep(estimator.memory())
        self.seconds["estimate"] += time.perf_counter() - started
        effects = self._effects() if self._settings.effects else ()
        self.seconds["policy"] = self._evaluator.seconds
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
            effects=effects,
            shared_noise=self._policy.spec.shares_noise,
            seconds=self.seconds,
            remembered=remembered,
            forgot=self._stream.forgot if self._stream is not None else "",
        )

    def _make_estimator(self) -> estimators.Estimator:
        settings = self._settings
        estimator = estimators.REGISTRY[settings.estimator](
            1 - settings.keep_probability,
            self._explainer._design.independent,
            self._cells.positions,
            self._products(),
            self._picture_count(),
        )
        estimator.seed = self._seed
        return estimator

    def _recall(self, estimator: estimators.Estimator) -> int:
        """Give the estimator what earlier frames left; return how many samples that are."""
        if self._stream is None:
            return 0
        meaning = tuple(getattr(self._settings, name) for name in MEANING)
        context = (meaning, self._cells, self._picture_count())
        memory = self._stream.recall(self._observation, context)
        if memory is None:
            return 0
        estimator.recall(memory)
        return len(memory)

    def _sample(
        self,
        estimator: estimators.Estimator,
        regions: RegionMap | None,
        on_block: Callable[[int], None] | None,
    ) -> tuple[int, float, str]:
        """Return how many samples were drawn, their mean divergence, and why no more were."""
        settings, design = self._settings, self._explainer._design
        cells, pictures = self._cells.count, self._picture_count()
        done, total = 0, 0.0
        for block in make_blocks(estimator.plan, design, settings, cells, pictures, self._generator):
            delta, moves = self._evaluator.measure(block.replaced, block.chosen, estimator.uses_moves)
            estimator.update(block.replaced, delta, block.chosen, moves)
            done, total = done + len(delta), total + float(delta.sum())
            if on_block is not None:
                on_block(done)
            if block.may_stop:
                reason = self._rule.reason(done, lambda: self._half_width(estimator, regions))
                if reason:
                    return done, total / done, reason
                estimator.prepare()
        return done, total / done, SAMPLES

    def _half_width(self, estimator: estimators.Estimator, regions: RegionMap | None) -> float:
        headline = self._settings.nmr_percent
        ratio = self._ratios(estimator.estimate(), regions, [headline])[headline]
        return (ratio.high - ratio.low) / 2

    def _products(self) -> Tensor:
        """Return the mean products of the changes that two pictures bring to a cell, [C, D, D] on the host."""
        return interventions.products(self._base, self._pictures, self._cells).cpu()

    def _picture_count(self) -> int:
        return len(next(iter(self._pictures.values())))

    def _ratios(
        self, estimate: estimators.Estimate, regions: RegionMap | None, percents: Sequence[int]
    ) -> dict[int, NuisanceMassRatio]:
        if regions is None:
            return undefined(percents, NO_REGIONS)
        missing = [name for name in self._cells.names if name not in regions.views]
        if missing:
            return undefined(percents, f"no regions for camera '{missing[0]}'")
        size = (self._settings.nmr_size, self._settings.nmr_size)
        both = torch.stack([estimate.contrast, estimate.standard_error * self._rule.stretch])
        maps, errors = self._cells.maps(both, size)
        nuisance = regions.nuisance(self._cells.names, size)
        return nuisance_mass_ratios(
            maps,
            nuisance,
            self._cells.names,
            percents,
            errors,
            self._cells.count,
            self._draws(estimate),
        )

    def _draws(self, estimate: estimators.Estimate) -> MapDraws | None:
        """Return the maps that the estimate's draws make, coarse: their NMR needs no more."""
        if estimate.draws is None:
            return None
        size = (min(DRAW_SIZE, self._settings.nmr_size),) * 2
        wide = estimate.contrast + self._rule.stretch * (estimate.draws - estimate.contrast)
        maps = self._cells.maps(torch.cat([estimate.contrast[None], wide]), size)
        return MapDraws(maps[0], maps[1:])

    def _effects(self) -> tuple[Effect, ...]:
        pictures = self._pictures
        if self._explainer._donors is not None:
            pictures = self._explainer._donors.pictures(self._base, self._observation.instruction)
        replacements = Replacements(
            pictures, self._explainer._instructions, mean_state_tensor(self._policy.spec.state_mean)
        )
        return measure_effects(
            self._observation,
            self._base,
            self._evaluator.reference.normalised,
            replacements,
            self._policy.preprocess,
            self._evaluator.run,
            self._explainer._divergence,
        )
