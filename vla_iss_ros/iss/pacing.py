# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How long a run of the policy may take, and the pause before the next: others use the device too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

FIRST_ROWS = 8
FEWEST_ROWS = 2
# A run that was slow once, such as the first of a size, shall not keep batches small for good.
GROWTH = 2


class LastRun:
    """When a run of the policy last ended, by the clock of those that share it."""

    def __init__(self) -> None:
        self.ended = float("-inf")


class Pace:
    """Keeps runs of the policy below ``limit`` seconds and ``gap`` seconds apart; 0 is without.

    A run cannot be interrupted, so its rows are chosen by what rows took before: never fewer than two, the least that
    can be compared. ``rows``: the most rows of the next run, None without a limit. ``longest``: seconds of the longest
    run so far, ``paused``: seconds spent in gaps.
    """

    def __init__(
        self,
        limit: float = 0.0,
        gap: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        last: LastRun | None = None,
    ) -> None:
        self._limit, self._gap, self._clock, self._sleep = limit, gap, clock, sleep
        self._last = last or LastRun()
        self.rows = FIRST_ROWS if limit > 0 else None
        self.longest = 0.0
        self.paused = 0.0

    @classmethod
    def of(cls, settings: Any, beside: Pace | None = None) -> Pace:
        """Return the pace that ``settings`` ask for; the gap is kept to the runs of the one ``beside`` it, too."""
        last = None if beside is None else beside._last
        return cls(settings.max_batch_ms / 1000, settings.batch_gap_ms / 1000, last=last)

    @property
    def watches(self) -> bool:
        """Whether the end of every run must be waited for."""
        return self._limit > 0 or self._gap > 0

    def wait(self) -> None:
        """Leave the device alone until the gap after the last run is over."""
        left = self._last.ended + self._gap - self._clock()
        if self._gap > 0 and left > 0:
            self._sleep(left)
            self.paused += left

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the gap around a run whose rows cannot be chosen; it must have ended on the device when it is left."""
        self.wait()
        started = self._clock()
        yield
        self._last.ended = self._clock()
        self.longest = max(self.longest, self._last.ended - started)

    def note(self, rows: int, seconds: float) -> None:
        """Take in that a run of ``rows`` has ended just now and took ``seconds``."""
        self._last.ended = self._clock()
        self.longest = max(self.longest, seconds)
        if self.rows is None or rows < FEWEST_ROWS:
            return
        fitting = int(rows * self._limit / seconds) if seconds > 0 else rows * GROWTH
        self.rows = max(FEWEST_ROWS, min(fitting, rows * GROWTH))
