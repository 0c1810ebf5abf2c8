"""What the benchmarks of speed share: frames of the sample bag under the shipped policies, and paired times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from estimators import FRAMES, QUICK_FRAMES, choose_frames
from torch import Tensor

from vla_iss_ros import settings
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.policies.donors import donors_for
from vla_iss_ros.policies.loading import load_policy, shipped_samples
from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.regions.label_images import regions_from_labels


@dataclass(frozen=True)
class Case:
    """One frame, its regions, the policy that is explained on it, and the donors of that policy."""

    name: str
    policy: Policy
    observation: Observation
    donors: Sequence[Observation]
    regions: RegionMap


def cases(quick: bool) -> list[Case]:
    """Return two frames, or all of those that benchmarks/estimators.py uses."""
    found = []
    policies: dict[str, tuple[Policy, Sequence[Observation]]] = {}
    chosen = choose_frames(QUICK_FRAMES if quick else FRAMES)
    labels = _labels({observation.stamp for _, _, observation in chosen})
    for checkpoint, place, observation in chosen:
        if checkpoint not in policies:
            path = shipped_samples() / "policies" / f"{checkpoint}.safetensors"
            policy = load_policy(f"builtin:{path}", "cpu")
            policies[checkpoint] = policy, donors_for(policy, "", required=True)
        policy, donors = policies[checkpoint]
        regions = regions_from_labels(labels[observation.stamp], settings.check({}), observation.images)
        found.append(Case(f"{checkpoint}_{place}", policy, observation, donors, regions))
    return found


def _labels(stamps: Collection[int]) -> dict[int, dict[str, np.ndarray]]:
    """Return the label images of the sample bag's frames that have one of ``stamps``."""
    with Bag(shipped_samples() / "metaworld") as bag:
        frames = iterate_observations(bag, episodes={episode for _, episode, _ in FRAMES})
        return {
            frame.observation.stamp: frame.labels for frame in frames if frame.observation.stamp in stamps
        }


class Recorder:
    """A policy that sums up how long it ran and, with ``keep``, keeps what on, so that it can be repeated alone."""

    def __init__(self, policy: Policy, keep: bool = False) -> None:
        self._policy, self._keep = policy, keep
        self.rows = 0
        self.calls: list[tuple[Prepared, Mapping[str, Tensor], Tensor | None]] = []
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        """Run the policy."""
        if self._keep:
            self.calls.append((base, images, noise))
        started = time.perf_counter()
        actions = self._policy.run_pixels(base, images, noise)
        self.seconds += time.perf_counter() - started
        self.rows += len(actions.normalised)
        return actions

    def repeat(self) -> None:
        """Run all that was kept once more."""
        for base, images, noise in self.calls:
            self._policy.run_pixels(base, images, noise)


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def paired(
    first: Callable[[], object], second: Callable[[], object], repetitions: int
) -> list[tuple[float, float]]:
    """Return the seconds of both, measured in turn and with the order changed every time; the first turn is dropped."""
    times = []
    for repetition in range(repetitions + 1):
        if repetition % 2:
            times.append((seconds_of(first), seconds_of(second)))
        else:
            other = seconds_of(second)
            times.append((seconds_of(first), other))
    return times[1:]


def median_ratio(times: Sequence[tuple[float, float]]) -> float:
    """Return the median over pairs of first / second: what slows the machine down slows both of a pair."""
    return statistics.median(first / second for first, second in times)
