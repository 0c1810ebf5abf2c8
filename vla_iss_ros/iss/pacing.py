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
    ) -> None:
        self._limit, self._gap, self._clock, self._sleep = limit, gap, clock, sleep
        self._ended = float("-inf")
        self.rows = FIRST_ROWS if limit > 0 else None
        self.longest = 0.0
        self.paused = 0.0

    @classmethod
    def of(cls, settings: Any) -> Pace:
        """Return the pace that ``settings`` ask for."""
        return cls(settings.max_batch_ms / 1000, settings.batch_gap_ms / 1000)

    @property
    def watches(self) -> bool:
        """Whether the end of every run must be waited for."""
        return self._limit > 0 or self._gap > 0

    def wait(self) -> None:
        """Leave the device alone until the gap after the last run is over."""
        left = self._ended + self._gap - self._clock()
        if self._gap > 0 and left > 0:
            self._sleep(left)
            self.paused += left

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the gap around a run whose rows cannot be chosen; it must have ended on the device when it is left."""
        self.wait()
        started = self._clock()
        yield
        self._ended = self._clock()
        self.longest = max(self.longest, self._ended - started)

    def note(self, rows: int, seconds: float) -> None:
        """Take in that a run of ``rows`` has ended just now and took ``seconds``."""
        self._ended = self._clock()
        self.longest = max(self.longest, seconds)
        if self.rows is None or rows < FEWEST_ROWS:
            return
        fitting = int(rows * self._limit / seconds) if seconds > 0 else rows * GROWTH
        self.rows = max(FEWEST_ROWS, min(fitting, rows * GROWTH))
