# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One frame under way, as the parts of an explanation share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from vla_iss_ros.iss.divergences import Divergence, mean_divergence
from vla_iss_ros.iss.evaluation import Evaluator
from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.subjects import SharedRun, Subject, preprocess_again


@dataclass(frozen=True)
class FrameRun:
    """An observation, what its interventions act on, and how the policy is asked."""

    observation: Observation
    base: Prepared
    subject: Subject
    shared: SharedRun
    evaluator: Evaluator
    divergence: Divergence

    def preprocess(self, changed: Observation) -> Prepared:
        """Turn the observation with another instruction or state, its images as they are, into the policy's inputs."""
        return preprocess_again(self.shared.policy, changed, self.base)

    def ask_pixels(self, base: Prepared, images: Mapping[str, Tensor]) -> list[Actions]:
        """Run the policy on variants of ``base``, in batches that fit, and wait."""
        count = max((len(rows) for rows in images.values()), default=1)

        def run(part: slice) -> Actions:
            return self.shared.pixels(base, {name: rows[part] for name, rows in images.items()})

        return self.evaluator.ask_in_parts(run, count)

    def mean_divergence(self, *answers: Actions) -> float:
        """Return the mean divergence of all rows of some answers from that to the observation as it is."""
        return mean_divergence(self.divergence, answers, self.evaluator.reference)
