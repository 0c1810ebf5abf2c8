# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The policy under check, and what a check finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.policies.protocol import Policy

PASS, FAIL, SKIP = "pass", "FAIL", "skip"


@dataclass(frozen=True)
class Check:
    """What one check found: ``status`` (pass, FAIL or skip), what was measured in words, and what to do.

    ``values``: the same figures by name, for programs.
    """

    name: str
    status: str
    figure: str
    remedy: str = ""
    values: Mapping[str, float] = field(default_factory=dict)


class Subject:
    """A policy with ``observations`` of its robot, the first of which is looked at in detail.

    ``tolerance``: largest difference of normalised actions that counts as none. ``clock``: seconds.
    Raises ValueError without observations, or as ``preprocess`` does when they do not fit the policy.
    """

    def __init__(
        self,
        policy: Policy,
        observations: Sequence[Observation],
        tolerance: float,
        clock: Callable[[], float],
    ) -> None:
        if not observations:
            raise ValueError("a policy is checked on at least one observation, got none")
        if not tolerance > 0:
            raise ValueError(f"tolerance must be above 0, got {tolerance}")
        self.policy, self.tolerance, self.clock = policy, tolerance, clock
        self.observations = tuple(observations)
        self.prepared = [policy.preprocess(observation) for observation in observations]
        self.base = self.prepared[0]
        self.noise = self.draw_noise(0)

    def draw_noise(self, seed: int) -> Tensor | None:
        """Return the noise [1, ...] that the policy draws from a generator of ``seed``."""
        return self.policy.sample_noise(torch.Generator().manual_seed(seed))

    def act(
        self, base: Prepared, images: Mapping[str, Tensor] | None = None, noise: Tensor | None = None
    ) -> Actions:
        """Run the policy on variants of ``base`` with ``noise`` (None: the shared one)."""
        return self.policy.run_pixels(base, images or {}, self.noise if noise is None else noise)

    def answer(
        self, base: Prepared, images: Mapping[str, Tensor] | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Return the normalised actions, float32 [N, T, A] on the host; raises ValueError for another N."""
        answer = self.act(base, images, noise).normalised.float().cpu()
        count = max((len(rows) for rows in (images or {}).values()), default=1)
        if len(answer) != count:
            raise ValueError(f"policy gave {len(answer)} answers to {count} rows; return one a row")
        return answer

    def variants(self, count: int) -> dict[str, Tensor]:
        """Return ``count`` rows of all cameras, [N, 3, h, w]: row 0 as observed, the others darker and darker.

        Equal for equal rows whatever ``count``, and different from each other.
        """
        rows = torch.arange(count, device=self.policy.device)
        shade = (1 - rows / 64).clamp_min(0)[:, None, None, None]
        return {name: image * shade for name, image in self.base.images.items()}

    def others(self) -> Observation:
        """Return the first observation with the pictures of the last one, or its negatives where it is the only one."""
        first, last = self.observations[0], self.observations[-1]
        images = last.images if len(self.observations) > 1 else {n: 255 - i for n, i in first.images.items()}
        return dataclasses.replace(first, images=images)

    def compared(self, name: str, difference: float, remedy: str) -> Check:
        """Return a check that passes where ``difference`` is within the tolerance; NaN is not."""
        good = difference <= self.tolerance
        figure = f"largest difference {difference:.1e} (tolerance {self.tolerance:.0e})"
        return Check(name, PASS if good else FAIL, figure, "" if good else remedy, {"difference": difference})


def largest(*differences: Tensor) -> float:
    """Return the largest magnitude; NaN where any is."""
    return float(torch.cat([difference.flatten() for difference in differences]).abs().max())
