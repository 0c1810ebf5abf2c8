# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""When a frame has had enough samples."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import NormalDist

SAMPLES = "samples"
TIME_BUDGET = "time budget"
NMR_INTERVAL = "NMR interval"
LEVEL = 0.95


class StoppingRule:
    """Ends the sampling of one frame at N, at a time budget, or where the NMR interval is narrow enough.

    Looking at an interval again and again until it pleases makes it cover less than it says. So it is looked at only
    after one block and after each doubling, K times at the most, and its deviations are stretched as those of a normal
    interval would be that holds for all looks together (Bonferroni); the interval that is reported is stretched too,
    whichever look was the last. NMR is no linear function of the map, so that is a rule and no theorem: how often the
    interval of a stopped frame holds is measured by ``benchmarks/estimators.py``.
    """

    def __init__(self, samples: int, block: int, deadline: float, half_width: float) -> None:
        """``deadline``: seconds of ``time.perf_counter``, inf for none; ``half_width`` 0: never for its sake."""
        self._deadline, self._half_width = deadline, half_width
        self._looks = _doublings(block, samples) if half_width > 0 else []
        self.stretch = _stretch(len(self._looks) + 1)

    def reason(self, done: int, half_width: Callable[[], float]) -> str:
        """Return why to stop after ``done`` samples, or an empty text to go on; NaN is never narrow enough."""
        if time.perf_counter() >= self._deadline:
            return TIME_BUDGET
        if not self._looks or done < self._looks[0]:
            return ""
        # A block that passes several looks at once is one look.
        self._looks = [look for look in self._looks if look > done]
        return NMR_INTERVAL if half_width() <= self._half_width else ""


def _doublings(block: int, samples: int) -> list[int]:
    """Return block, 2 block, 4 block and so on, below ``samples``: at ``samples`` sampling ends anyway."""
    return [
        block * 2**power for power in range(int(math.log2(samples / block)) + 1) if block * 2**power < samples
    ]


def _stretch(looks: int) -> float:
    normal = NormalDist()
    return normal.inv_cdf(1 - (1 - LEVEL) / 2 / looks) / normal.inv_cdf(1 - (1 - LEVEL) / 2)
