# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What to know of a policy before its maps are believed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from vla_iss_ros.analysis.policy_answers import (
    check_absent_cameras,
    check_batches,
    check_determinism,
    check_finite,
    check_identical_rows,
    check_noise,
    check_row_zero,
)
from vla_iss_ros.analysis.policy_geometry import check_alignment, check_polarity
from vla_iss_ros.analysis.policy_subject import FAIL, SKIP, Check, Subject
from vla_iss_ros.analysis.policy_tokens import check_token_alignment, check_tokens
from vla_iss_ros.analysis.policy_use import check_sensitivity, check_time
from vla_iss_ros.iss.evaluation import out_of_memory
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.protocol import Policy

TOLERANCE = 1e-3  # normalised action units

CHECKS: tuple[tuple[str, Callable[[Subject], Check]], ...] = (
    ("finite actions", check_finite),
    ("determinism", check_determinism),
    ("row 0 identity", check_row_zero),
    ("identical rows", check_identical_rows),
    ("batch invariance", check_batches),
    ("absent cameras", check_absent_cameras),
    ("shared noise", check_noise),
    ("polarity", check_polarity),
    ("alignment", check_alignment),
    ("tokens", check_tokens),
    ("token alignment", check_token_alignment),
    ("sensitivity", check_sensitivity),
    ("time", check_time),
)


def check_policy(
    policy: Policy,
    observations: Sequence[Observation],
    tolerance: float = TOLERANCE,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Check]:
    """Check ``policy`` on ``observations`` of its robot, the first in detail; the others serve as other scenes.

    ``tolerance``: largest difference of normalised actions that counts as none. An error within a check is that
    check's failure; one that ran out of memory is skipped. Raises ValueError without observations, for a tolerance
    that is not above 0, or as ``preprocess`` does when an observation does not fit the policy.
    """
    with torch.inference_mode():
        subject = Subject(policy, observations, tolerance, clock)
        return [_attempt(name, check, subject) for name, check in CHECKS]


def _attempt(name: str, check: Callable[[Subject], Check], subject: Subject) -> Check:
    try:
        return check(subject)
    except Exception as error:  # a policy may raise anything, and the other checks still tell something
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        if isinstance(error, RuntimeError) and out_of_memory(error):
            return Check(name, SKIP, reason, "set batch_size to what fits in memory")
        return Check(name, FAIL, reason, "see the policy's own documentation; this call must not raise")
