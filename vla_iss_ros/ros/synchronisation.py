# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Approximate-time synchronisation of several cameras.

message_filters does it where it is installed; elsewhere our implementation of the same rule stands in. Both
are held to one test suite.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

try:
    import message_filters
except ImportError:  # not on any package registry; comes with a ROS installation
    message_filters = None

Messages = Mapping[str, Any]
Stamps = Mapping[str, int]

QUEUE_SIZE = 10
LARGE_JUMP = 1_000_000_000
# A topic without a message for so many seconds is silent.
SILENT_SECONDS = 5.0


@dataclass(frozen=True)
class ClosestSet:
    """The closest that the stamps of all topics came to each other lately.

    ``seconds``: between its oldest and its newest stamp, NaN before each topic has come; ``topics``: of those two.
    """

    seconds: float = math.nan
    topics: tuple[str, str] = ("", "")


class Matcher(Protocol):
    """Finds sets of messages whose stamps lie within the slop; each message is used once at most.

    ``queues``: one dictionary a topic, stamp in ns to message.
    """

    queues: Sequence[dict[int, Any]]

    def add(self, index: int, stamp: int, message: Any) -> None:
        """Take in a message of topic ``index`` and hand out the set that it completes, if any."""


class OwnMatcher:
    """The rule of message_filters.ApproximateTimeSynchronizer, on stamps in ns."""

    def __init__(self, count: int, slop: int, on_set: Callable[..., None]) -> None:
        self.queues: Sequence[dict[int, Any]] = [{} for _ in range(count)]
        self._slop = slop
        self._on_set = on_set

    def add(self, index: int, stamp: int, message: Any) -> None:
        """See :class:`Matcher`."""
        queue = self.queues[index]
        queue[stamp] = message
        while len(queue) > QUEUE_SIZE:
            del queue[min(queue)]
        near = [
            sorted((t for t in found if abs(t - stamp) <= self._slop), key=lambda t: abs(t - stamp))
            for found in self.queues
        ]
        near[index] = [stamp] if stamp in queue else []
        for stamps in itertools.product(*near):
            if max(stamps) - min(stamps) <= self._slop:
                self._on_set(*(found.pop(other) for found, other in zip(self.queues, stamps, strict=True)))
                return


class MessageFiltersMatcher:
    """message_filters.ApproximateTimeSynchronizer behind the same interface."""

    def __init__(self, count: int, slop: int, on_set: Callable[..., None]) -> None:
        self._filters = [message_filters.SimpleFilter() for _ in range(count)]
        # It compares with "<", so that a slop of 0 would never match even equal stamps.
        seconds = (slop + 1) / 1e9
        self._synchroniser = message_filters.ApproximateTimeSynchronizer(self._filters, QUEUE_SIZE, seconds)
        self._synchroniser.registerCallback(on_set)
        self.queues: Sequence[dict[int, Any]] = self._synchroniser.queues

    def add(self, index: int, stamp: int, message: Any) -> None:
        """See :class:`Matcher`."""
        self._filters[index].signalMessage(message)


class Synchroniser:
    """Hands out the newest complete sets of several topics, never an older one after a newer one.

    Stamps that go back (a bag that starts again) drop what was waiting from the future; ``on_jump`` hears of
    jumps of more than a second. Not thread safe: feed it from one callback group. ``completed_at``, the monotonic time
    of the last set or NaN, :attr:`waited` and :attr:`closest` may be read from anywhere.
    """

    def __init__(
        self,
        names: Sequence[str],
        slop: float,
        on_set: Callable[[Messages, Stamps], None],
        on_jump: Callable[[float], None] = lambda seconds: None,
        matcher: Callable[[int, int, Callable[..., None]], Matcher] | None = None,
        missing_after: float | None = None,
    ) -> None:
        """Synchronise ``names`` within ``slop`` seconds.

        With ``missing_after``, the last message of a topic whose stamps are further than this, in seconds, behind
        those of all others stands in for it, until it returns: one message late, when the next of another shows that it
        has not come.
        """
        self._names = tuple(names)
        self._slop = round(slop * 1e9)
        self._on_set, self._on_jump = on_set, on_jump
        make = matcher or (OwnMatcher if message_filters is None else MessageFiltersMatcher)
        self._matcher = make(len(self._names), self._slop, self._emit)
        self._missing_after = None if missing_after is None else round(missing_after * 1e9)
        self._last: dict[str, int] = {}
        self._last_messages: dict[str, Any] = {}
        self._stamps: dict[int, int] = {}
        self._emitted = -1
        self.stepped_back = 0
        self._arrived: dict[str, float] = {}
        self._recent: dict[str, deque[int]] = {each: deque(maxlen=QUEUE_SIZE) for each in self._names}
        self._closest: dict[str, ClosestSet] = {}
        self._waiting_since = math.nan
        self.completed_at = math.nan

    @property
    def closest(self) -> ClosestSet:
        """How close the stamps of the topics are: the closest set that the newest message of any of them is in."""
        return min(self._closest.copy().values(), key=lambda each: each.seconds, default=ClosestSet())

    @property
    def waited(self) -> float:
        """Seconds without a complete set while messages of every topic kept coming, NaN while those of one do not.

        A topic that returns after a silence begins it anew.
        """
        now, arrived = time.monotonic(), self._arrived.copy()
        if len(arrived) < len(self._names) or now - min(arrived.values()) > SILENT_SECONDS:
            return math.nan
        return now - self._waiting_since

    def add(self, name: str, stamp: int, message: Any) -> None:
        """Take in one message of topic ``name`` with its stamp in ns."""
        last = self._last.get(name, stamp)
        self._last[name] = stamp
        if stamp < last:
            self._step_back(last, stamp)
        self._note(name, stamp)
        self._stamps[id(message)] = stamp
        self._matcher.add(self._names.index(name), stamp, message)
        if self._missing_after is not None:
            self._last_messages[name] = message
            if self._emitted < last < stamp:  # its next message has come, and that one waits in vain
                self._stand_in(last, self._missing_after)
        waiting = {id(found) for queue in self._matcher.queues for found in queue.values()}
        self._stamps = {key: value for key, value in self._stamps.items() if key in waiting}

    def _note(self, name: str, stamp: int) -> None:
        """Keep what diagnostics tell of a stamp in ns of topic ``name``: its arrival, and how close others are."""
        now = time.monotonic()
        if not now - self._arrived.get(name, -math.inf) < SILENT_SECONDS:
            self._waiting_since = now
        self._arrived[name] = now
        self._recent[name].append(stamp)
        found = _closest_set({**self._recent, name: [stamp]})
        if found is not None:
            distance, *topics = found
            first, second = sorted(topics, key=self._names.index)
            self._closest[name] = ClosestSet(distance / 1e9, (first, second))

    def _stand_in(self, stamp: int, after: int) -> None:
        """Hand out a set in which last messages stand in for topics that are ``after`` ns behind ``stamp``."""
        missing = {name for name in self._last if self._last[name] < stamp - after}
        if not missing or len(self._last) < len(self._names):
            return
        stamps = {name: self._last[name] for name in missing}
        for name, queue in zip(self._names, self._matcher.queues, strict=True):
            near = [other for other in queue if abs(other - stamp) <= self._slop]
            if name not in missing and near:
                stamps[name] = min(near, key=lambda other: abs(other - stamp))
        if len(stamps) < len(self._names):
            return
        found = {}
        for name, queue in zip(self._names, self._matcher.queues, strict=True):
            found[name] = self._last_messages[name] if name in missing else queue.pop(stamps[name])
        self._hand_out(found, {name: stamps[name] for name in self._names})

    def _step_back(self, last: int, stamp: int) -> None:
        self.stepped_back += 1
        self._emitted = -1
        for queue in self._matcher.queues:
            for future in [other for other in queue if other > stamp + self._slop]:
                del queue[future]
        for stamps in self._recent.values():
            kept = [other for other in stamps if other <= stamp + self._slop]
            stamps.clear()
            stamps.extend(kept)
        self._closest = {}
        if last - stamp > LARGE_JUMP:
            self._on_jump((last - stamp) / 1e9)

    def _emit(self, *messages: Any) -> None:
        stamps = {
            name: self._stamps[id(message)] for name, message in zip(self._names, messages, strict=True)
        }
        self._hand_out(dict(zip(self._names, messages, strict=True)), stamps)

    def _hand_out(self, messages: Messages, stamps: Stamps) -> None:
        newest = max(stamps.values())
        if newest < self._emitted:
            return
        self._emitted = newest
        self.completed_at = self._waiting_since = time.monotonic()
        self._on_set(messages, stamps)


def _closest_set(stamps: Mapping[str, Iterable[int]]) -> tuple[int, str, str] | None:
    """Return (distance in ns, topic of the oldest, of the newest) of the closest set of one stamp of each topic.

    None where a topic has no stamp.
    """
    last: dict[str, int] = {}
    best = None
    for stamp, name in sorted((each, name) for name, found in stamps.items() for each in found):
        last[name] = stamp
        oldest = min(last, key=lambda each: last[each])
        if len(last) == len(stamps) and (best is None or stamp - last[oldest] < best[0]):
            best = (stamp - last[oldest], oldest, name)
    return best
