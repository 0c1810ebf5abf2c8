# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of speed share: a policy that is watched, and paired times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from vla_iss_ros.iss.observation import Actions, Prepared
from vla_iss_ros.policies.protocol import Policy


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
