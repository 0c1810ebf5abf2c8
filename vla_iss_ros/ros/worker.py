# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns the policy, and the slot that feeds it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


class CancelledError(Exception):
    """The worker was asked to stop; raised inside the work at the next place that can end it."""


class NotReadyError(Exception):
    """The frame cannot be used, and nothing is broken: an input has not arrived yet. The text says which."""


class BadMessageError(NotReadyError):
    """The frame cannot be used because of a bad message, which has been counted and logged already."""


class LatestSlot(Generic[Item]):
    """Room for one item: a new one takes the place of one that nobody took, which counts as dropped."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self.received = 0
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Offer ``item``; never waits."""
        with self._condition:
            self.received += 1
            self.dropped += self._item is not None
            self._item = item
            self._condition.notify_all()

    def take(self, timeout: float) -> Item | None:
        """Return the item, or None when none came within ``timeout`` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None, timeout)
            item, self._item = self._item, None
            return item

    def clear(self) -> None:
        """Forget the item."""
        with self._condition:
            self._item = None


@dataclass
class Progress:
    """What the worker has done; written by its thread, read by others.

    ``problem``: the one line about the last item when it failed or was not ready, else empty; ``broken``: it
    failed. ``beat_at``: when the work last showed that it goes on. Times are seconds of the monotonic clock, NaN
    when there is none.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    problem: str = ""
    broken: bool = False
    done_at: float = float("nan")
    busy_since: float = float("nan")
    beat_at: float = float("nan")


class Worker(Generic[Item]):
    """Runs ``work`` on the newest item of a slot, at most at a given rate, until it is stopped.

    Exceptions never end the thread: they are counted and handed to ``on_problem`` with their one line.
    """

    POLL = 0.1

    def __init__(
        self,
        slot: LatestSlot[Item],
        work: Callable[[Item, Callable[[], None]], None],
        period: Callable[[], float],
        rest: Callable[[float], float],
        on_problem: Callable[[Exception, str], None],
        progress: Progress,
    ) -> None:
        """Prepare the thread.

        ``work`` gets the item and a function that raises :class:`CancelledError` once the worker shall stop.
        ``period``: least seconds between two starts; ``rest``: least seconds from an end to the next start, told
        how many seconds the work took. Both are asked anew while a pause lasts, so that it can become shorter.
        """
        self._slot, self._work, self._on_problem = slot, work, on_problem
        self._period, self._rest = period, rest
        self.progress = progress
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vla_iss_ros worker", daemon=True)

    def start(self) -> None:
        """Start the thread; once only."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Ask the thread to end and wait for it; False when it still works after ``timeout`` seconds."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def cancel_point(self) -> None:
        """Raise :class:`CancelledError` when the worker shall stop; called, it shows that the work goes on."""
        self.progress.beat_at = time.monotonic()
        if self._stop.is_set():
            raise CancelledError

    def _run(self) -> None:
        started = ended = float("-inf")
        while not self._stop.is_set():
            # The rate is kept before an item is taken, so that what is taken is the newest there is.
            left = self._pause_left(started, ended)
            if left > 0:
                self._stop.wait(min(left, self.POLL))
                continue
            item = self._slot.take(self.POLL)
            if item is None:
                continue
            started = time.monotonic()
            self._try(item)
            ended = time.monotonic()

    def _pause_left(self, started: float, ended: float) -> float:
        """Return the seconds until the next start, after work from ``started`` to ``ended``."""
        if ended == float("-inf"):
            return 0.0
        due = max(started + self._period(), ended + self._rest(ended - started))
        return due - time.monotonic()

    def _try(self, item: Item) -> None:
        progress = self.progress
        progress.busy_since = progress.beat_at = time.monotonic()
        try:
            self._work(item, self.cancel_point)
        except CancelledError:
            pass
        except NotReadyError as reason:
            progress.skipped += 1
            self._report(reason, broken=False)
        except Exception as error:
            progress.failed += 1
            self._report(error, broken=True)
        else:
            progress.done += 1
            progress.done_at = time.monotonic()
            progress.problem, progress.broken = "", False
        finally:
            progress.busy_since = progress.beat_at = float("nan")

    def _report(self, error: Exception, broken: bool) -> None:
        line = one_line(error) if broken else str(error)
        self.progress.problem, self.progress.broken = line, broken
        self._on_problem(error, line)


def one_line(error: BaseException) -> str:
    """Return an exception's text as one readable line, with its type where the text alone says too little."""
    text = " ".join(str(error).split())[:400]
    if isinstance(error, ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
