# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""When a result is old."""

from __future__ import annotations

from typing import Any

STALE_SECONDS = 5.0
STALE_FACTOR = 3.0


def stale_after(latency: float, busy: float, settings: Any) -> float:
    """Return the age in seconds beyond which a result is old.

    ``latency``: seconds from a frame's arrival until its result is there to be seen. ``busy``: of work on it, which
    ``max_rate`` and ``duty_cycle`` set apart from the next frame's: a result is as old as that when the next one comes.
    """
    period = max(1 / settings.max_rate, busy / settings.duty_cycle)
    return max(STALE_SECONDS, STALE_FACTOR * latency) + period
