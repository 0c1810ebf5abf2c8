# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which attention heads the action passes through, over the frames of a recording."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_iss_ros.iss.divergences import REGISTRY, needs_path
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.heads import HeadSpace, gather_head_means, refuse_heads
from vla_iss_ros.iss.observation import Observation


@dataclass(frozen=True)
class RankedHead:
    """A head, its contrast (mean over frames, unit of the divergence) and what is not known of it.

    ``standard_error``: of the mean over frames as a sample, from their spread, which holds the error within them.
    ``within``: root mean square of the frames' own standard errors. ``share``: of the positive contrasts' sum.
    """

    head: str
    contrast: float
    standard_error: float
    within: float
    share: float


def rank_heads(
    policy: Any,
    observations: Sequence[Observation],
    settings: Any,
    on_frame: Callable[[int], object] | None = None,
) -> list[RankedHead]:
    """Return the heads of ``policy``, largest contrast first; ``on_frame`` hears how many frames are done.

    Means to ablate to are those over ``observations``, two or more. ``settings`` as of ``Explainer``; the space is not
    looked at. Raises ValueError for a policy without heads, or a divergence that runs along a path, which heads are
    not run along.
    """
    refuse_heads(policy)
    if needs_path(REGISTRY[settings.divergence]):
        raise ValueError(
            f"heads are compared by action_mse or gaussian_kl, got divergence {settings.divergence}"
        )
    space = HeadSpace(policy, gather_head_means(policy, observations, settings.seed))
    explainer = Explainer(policy, settings, space=space)
    contrasts, errors = [], []
    for done, observation in enumerate(observations, 1):
        estimate = explainer.explain(observation).estimate
        contrasts.append(estimate.contrast.double().cpu().numpy())
        errors.append(estimate.standard_error.double().cpu().numpy())
        if on_frame is not None:
            on_frame(done)
    frames = np.stack(contrasts)
    mean = frames.mean(0)
    spread = frames.std(0, ddof=1) / math.sqrt(len(frames))
    within = np.sqrt(np.square(np.stack(errors)).mean(0))
    total = float(mean.clip(min=0).sum())
    shares = mean.clip(min=0) / total if total > 0 else np.full_like(mean, math.nan)
    rows = zip(policy.heads, mean, spread, within, shares, strict=True)
    ranked = [RankedHead(head, *(float(value) for value in values)) for head, *values in rows]
    return sorted(ranked, key=lambda each: -each.contrast)


def as_csv(ranked: Sequence[RankedHead]) -> str:
    """Return the ranking as a table with a header."""
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(["place", "head", "contrast", "standard_error", "standard_error_within_frames", "share"])
    for place, each in enumerate(ranked, 1):
        table.writerow([place, each.head, each.contrast, each.standard_error, each.within, each.share])
    return stream.getvalue()
