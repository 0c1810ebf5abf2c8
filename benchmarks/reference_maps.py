# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames of the sample bag under the shipped policies, samples of them, and the maps that samples converge to."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vla_iss_ros import settings
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss import interventions
from vla_iss_ros.iss.canvas import PolicySize
from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.designs import REGISTRY as DESIGNS
from vla_iss_ros.iss.divergences import ActionMse
from vla_iss_ros.iss.estimators import REGISTRY, Estimator
from vla_iss_ros.iss.evaluation import Evaluator, Resources
from vla_iss_ros.iss.nmr import nuisance_mass_ratios
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.iss.subjects import Pixels, SharedRun
from vla_iss_ros.policies.donors import donors_for
from vla_iss_ros.policies.loading import load_policy, shipped_samples
from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.regions.label_images import regions_from_labels

REFERENCE_SAMPLES = 20_000
REFERENCES = Path(__file__).parent / "references"
BLOCK = 32
# (checkpoint, episode of the sample bag, share of the episode)
QUICK_FRAMES = (("shortcut", 0, 0.05), ("clean", 2, 0.1))
FRAMES = (*QUICK_FRAMES, ("clean", 0, 0.05), ("shortcut", 1, 0.2), ("clean", 1, 0.2), ("shortcut", 2, 0.1))


@dataclass(frozen=True)
class Case:
    """One frame, its regions, the policy that is explained on it, and the donors of that policy."""

    name: str
    policy: Policy
    observation: Observation
    donors: Sequence[Observation]
    regions: RegionMap


@lru_cache
def policy_and_donors(checkpoint: str) -> tuple[Policy, list[Observation]]:
    """Return a shipped policy on the CPU, and its donors."""
    path = shipped_samples() / "policies" / f"{checkpoint}.safetensors"
    policy = load_policy(f"builtin:{path}", "cpu")
    return policy, donors_for(policy, "", required=True)


@lru_cache
def episode(number: int) -> list[tuple[Observation, Any]]:
    """Return the observations of one episode of the sample bag, with their label images."""
    with Bag(shipped_samples() / "metaworld") as bag:
        frames = list(iterate_observations(bag, episodes={number}))
    return [(frame.observation, frame.labels) for frame in frames]


def case_at(checkpoint: str, number: int, place: int, name: str) -> Case:
    """Return the frame at ``place`` of an episode."""
    policy, donors = policy_and_donors(checkpoint)
    observation, labels = episode(number)[place]
    regions = regions_from_labels(labels, settings.check({}), observation.images)
    return Case(name, policy, observation, donors, regions)


def cases(wanted: Collection[tuple[str, int, float]]) -> list[Case]:
    """Return the frames that are asked for by checkpoint, episode and share of the episode."""
    return [
        case_at(
            checkpoint, number, int(share * len(episode(number))), f"{checkpoint}_episode{number}_{share}"
        )
        for checkpoint, number, share in wanted
    ]


class Bench:
    """One frame: runs interventions and knows its reference map."""

    def __init__(self, case: Case, probability: float) -> None:
        self.case, self.probability = case, probability
        policy, values = case.policy, settings.check({})
        self.base = policy.preprocess(case.observation)
        self.cells = CellGrid.over(self.base, values.grid)
        donor = interventions.Donor(
            [policy.preprocess(each) for each in case.donors], [each.instruction for each in case.donors]
        )
        self.pictures = donor.pictures(self.base, case.observation.instruction)
        self.picture_count = len(next(iter(self.pictures.values())))
        self.products = interventions.products(self.base, self.pictures, self.cells)
        canvas = PolicySize(values).canvas(case.observation, self.base, self.cells, self.pictures)
        resources = Resources.of(policy, values)
        subject = Pixels(self.base, canvas, self.cells, self.pictures)
        self._evaluator = Evaluator(subject, SharedRun(policy, None), ActionMse(), resources)
        self._path = REFERENCES / policy.spec.weights_hash / f"{self._place}_q{probability}.json"

    @property
    def _place(self) -> str:
        return self.case.name

    def blocks(self, design: str, count: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """Yield blocks of replaced cells, divergences, pictures and moves."""
        generator = torch.Generator().manual_seed(seed)
        for _ in range(count // BLOCK):
            replaced = DESIGNS[design]().draw(BLOCK, self.cells.count, self.probability, generator)
            chosen = interventions.choose_pictures(BLOCK, self.picture_count, generator)
            delta, moves = self._evaluator.measure(replaced, chosen, with_moves=True)
            yield replaced, delta, chosen, moves

    def estimator(self, name: str, design: str) -> Estimator:
        """Return a fresh estimator."""
        independent = DESIGNS[design].independent
        return REGISTRY[name](
            self.probability, independent, self.cells.positions, self.products, self.picture_count
        )

    @cached_property
    def _stored(self) -> dict[str, Any]:
        if not self._path.is_file():
            estimator = self.estimator("hajek", "balanced")
            for block in self.blocks("balanced", REFERENCE_SAMPLES, seed=1):
                estimator.update(*block)
            result = estimator.estimate()
            stored = {
                "samples": result.samples,
                "contrast": [float(f"{value:.6g}") for value in result.contrast.tolist()],
                "standard_error": [float(f"{value:.3g}") for value in result.standard_error.tolist()],
            }
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_suffix(".partial")
            partial.write_text(json.dumps(stored) + "\n")
            partial.rename(self._path)
        return json.loads(self._path.read_text())

    @property
    def reference(self) -> Tensor:
        """The contrast [C] of ``REFERENCE_SAMPLES`` balanced samples by hajek, made once and kept in a file."""
        return torch.tensor(self._stored["contrast"], dtype=torch.float64)

    @property
    def reference_error(self) -> Tensor:
        """Its standard error [C]."""
        return torch.tensor(self._stored["standard_error"], dtype=torch.float64)

    def nmr(self, contrast: Tensor) -> float:
        """Return the NMR@10 of a map."""
        size = (settings.BY_NAME["nmr_size"].default,) * 2
        nuisance = self.case.regions.nuisance(self.cells.names, size)
        maps = self.cells.maps(contrast[None], size)[0]
        return nuisance_mass_ratios(maps, nuisance, self.cells.names, (10,))[10].value


def correlation(estimate: Tensor, reference: Tensor) -> float:
    """Return Pearson's r; a map that is not finite correlates with nothing."""
    if not torch.isfinite(estimate).all():
        return 0.0
    return float(np.corrcoef(estimate, reference)[0, 1])


def top_overlap(estimate: Tensor, reference: Tensor) -> float:
    """Return the share of the reference's top 10 % of the cells that are in the estimate's."""
    if not torch.isfinite(estimate).all():
        return 0.0
    count = -(-len(reference) // 10)
    tops = [set(values.topk(count).indices.tolist()) for values in (estimate, reference)]
    return len(tops[0] & tops[1]) / count
