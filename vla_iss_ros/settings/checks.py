# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checked values of all settings together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, make_dataclass
from typing import Any

from vla_iss_ros.settings.definitions import ALL, BY_NAME
from vla_iss_ros.settings.instruction import instruction_problem
from vla_iss_ros.settings.shown import shown
from vla_iss_ros.settings.transports import camera_transports


def _fresh(value: Any) -> Callable[[], Any]:
    return lambda: list(value) if isinstance(value, list) else value


Settings = make_dataclass(
    "Settings",
    [(s.name, type(s.default), field(default_factory=_fresh(s.default))) for s in ALL],
    frozen=True,
    namespace={"__doc__": "One checked value for every setting, as attributes of the settings' names."},
)


def check(values: Mapping[str, Any]) -> Any:
    """Return checked ``Settings`` with ``values`` over the defaults.

    Raises ValueError for an unknown name, a value out of range, or values that do not fit together.
    """
    unknown = [name for name in values if name not in BY_NAME]
    if unknown:
        raise ValueError(f"unknown settings {shown(unknown)}; known: {', '.join(BY_NAME)}")
    settings = Settings(**{name: BY_NAME[name].check(value) for name, value in values.items()})
    _check_together(settings)
    return settings


def _check_together(settings: Any) -> None:
    if settings.nmr_error_ratio < settings.nmr_warn_ratio:
        raise ValueError(
            f"nmr_error_ratio must not be below nmr_warn_ratio {settings.nmr_warn_ratio}, "
            f"got {settings.nmr_error_ratio}"
        )
    if settings.agreement_error_ratio < settings.agreement_warn_ratio:
        raise ValueError(
            f"agreement_error_ratio must not be below agreement_warn_ratio {settings.agreement_warn_ratio}, "
            f"got {settings.agreement_error_ratio}"
        )
    if settings.samples < settings.block_size:
        raise ValueError(f"samples must be at least block_size {settings.block_size}, got {settings.samples}")
    if settings.estimator == "regression_adjusted" and settings.samples < 4:
        raise ValueError(f"samples must be at least 4 for regression_adjusted, got {settings.samples}")
    if settings.estimator == "exact":
        _check_exact(settings)
    shared = set(settings.actor_labels) & set(settings.support_labels)
    if shared:
        raise ValueError(
            f"labels {shown(sorted(shared))} are in actor_labels and in support_labels; name each once"
        )
    if not settings.cameras or len(set(settings.cameras)) != len(settings.cameras):
        raise ValueError(f"cameras must be different names and not empty, got {shown(settings.cameras)}")
    problem = instruction_problem(settings.instruction)
    if problem is not None:
        raise ValueError(problem[1])
    camera_transports(settings.camera_transports, settings.cameras, settings.image_transport)


def _check_exact(settings: Any) -> None:
    # One camera is the least; how many the policy has is known only where the policy is.
    if settings.grid**2 > 16:
        raise ValueError(
            f"exact takes at most 16 cells over all cameras, got {settings.grid**2} a camera; "
            "set grid to 2 or use another estimator"
        )
    if settings.time_budget > 0:
        raise ValueError(
            f"time_budget must be 0 for exact, got {settings.time_budget}; a part of all coalitions is no result"
        )
