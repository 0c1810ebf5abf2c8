"""One frame under way, as the parts of an explanation share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from vla_iss_ros.iss.divergences import Divergence
from vla_iss_ros.iss.evaluation import Evaluator
from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.subjects import SharedRun, Subject


@dataclass(frozen=True)
class FrameRun:
    """An observation, what its interventions act on, and how the policy is asked."""

    observation: Observation
    base: Prepared
    subject: Subject
    shared: SharedRun
    evaluator: Evaluator
    divergence: Divergence

    def ask_pixels(self, base: Prepared, images: Mapping[str, Tensor]) -> Actions:
        """Run the policy on variants of ``base`` and wait."""
        return self.evaluator.ask(lambda: self.shared.pixels(base, images))

    def mean_divergence(self, actions: Actions) -> float:
        """Return the mean divergence of some answers from that to the observation as it is."""
        return float(self.divergence(actions, self.evaluator.reference).double().mean())
