# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Maps of few samples a frame along an episode: every frame by itself, and with what earlier frames taught."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from reference_maps import Bench, case_at, correlation

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.stream import Stream

# (checkpoint, episode of the sample bag, frames whose maps are judged). Episodes are about 30 frames long; by the
# tenth the arm moves steadily towards its object, and near the end it touches it.
EPISODES = (
    ("shortcut", 1, (10, 14)),
    ("clean", 2, (10, 14)),
    ("shortcut", 0, (12, 18)),
    ("clean", 1, (10, 14)),
)
PROBABILITY = 0.3
WAYS: tuple[tuple[str, bool, dict[str, Any]], ...] = (
    ("horvitz_thompson, frame by frame", False, {"estimator": "horvitz_thompson", "design": "bernoulli"}),
    ("spatial, frame by frame", False, {"estimator": "spatial"}),
    ("emulator, frame by frame", False, {"estimator": "emulator"}),
    ("emulator, streamed", True, {"estimator": "emulator"}),
)


def measure(samples: int, repetitions: int) -> dict[str, float]:
    """Return the mean correlation with the converged map, by way of estimating."""
    found: dict[str, list[float]] = {}
    for name, streamed, values in WAYS:
        for checkpoint, number, judged in EPISODES:
            for seed in range(1, repetitions + 1):
                checked = settings.check(
                    {"effects": False, "samples": samples, "block_size": samples, "seed": seed, **values}
                )
                found.setdefault(name, []).extend(_run(checkpoint, number, judged, checked, streamed))
    return {name: float(np.mean(values)) for name, values in found.items()}


def _run(checkpoint: str, number: int, judged: Sequence[int], checked: Any, streamed: bool) -> list[float]:
    stream, explainer, found = Stream() if streamed else None, None, []
    for place in range(max(judged) + 1):
        if not streamed and place not in judged:
            continue
        case = case_at(checkpoint, number, place, f"{checkpoint}_episode{number}_frame{place}")
        explainer = explainer or Explainer(case.policy, checked, case.donors)
        result = explainer.explain(case.observation, stream=stream)
        if place in judged:
            found.append(correlation(result.estimate.contrast, Bench(case, PROBABILITY).reference))
    return found
