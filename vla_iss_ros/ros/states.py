# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The state that belongs to a frame: messages of one or several topics, found again by stamp."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from vla_iss_ros.messages.sources import StateSource, state_names
from vla_iss_ros.messages.stamps import nanoseconds_from_stamp
from vla_iss_ros.ros.synchronisation import LARGE_JUMP

JOINT_STATES_KEPT = 64
# A state older than this says nothing about the picture: the joint states stopped, or clocks differ.
STATE_TOLERANCE = 1.0
# A state comes by a topic of its own and may arrive just after the images of the same moment.
GRACE = 0.05
# A state that is stamped so little after the images is of their moment.
SAME_MOMENT = 5_000_000  # ns


class MissingStateError(Exception):
    """No state for a frame yet; the text says what lacks."""


class JointStates:
    """The messages that arrived last and hold any of ``names``, found again by stamp. Thread safe.

    Without ``names``, all messages of the topic.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._changed = threading.Condition()
        self._kept: deque[tuple[int, Any]] = deque(maxlen=JOINT_STATES_KEPT)
        self._asked = (0, 0.0)  # the last stamp that was waited for, and until when
        self._punctual = True  # one that was due came in time, the last time that one was

    def add(self, stamp: int, message: Any) -> bool:
        """Take in a message with its stamp in ns; return False when it holds none of the names and is left out.

        Stamps of several publishers interleave; only a jump back of more than a second (a bag that starts
        again) drops what was kept.
        """
        if self._names and self._names.isdisjoint(message.name):
            return False
        with self._changed:
            if self._kept and max(kept for kept, _ in self._kept) - stamp > LARGE_JUMP:
                self._kept.clear()
            self._kept.append((stamp, message))
            asked, until = self._asked
            if time.monotonic() <= until and not self._due(asked):
                self._punctual = True
            self._changed.notify_all()
        return True

    def wait(self, stamp: int, until: float) -> None:
        """Wait, to monotonic time ``until`` at most, while the state of the moment ``stamp`` in ns is on its way.

        Not for a stream whose last one that was due did not come in time: one that is absent or late holds nothing up.
        """
        with self._changed:
            self._asked, left = (stamp, until), until - time.monotonic()
            if self._punctual and left > 0 and self._due(stamp):
                self._punctual = self._changed.wait_for(lambda: not self._due(stamp), left)

    def _due(self, stamp: int) -> bool:
        """Tell whether a state that is stamped no later than ``stamp``, or hardly, must have been sent already."""
        if not stamp or (self._kept and not self._kept[-1][0]):
            return False  # without stamps the last one counts, whenever it came
        if not self._kept:
            return True
        stamps = sorted(kept for kept, _ in self._kept)
        # Where several publishers take turns the longer gaps count, but not those of a stream that paused.
        gaps = sorted(after - before for before, after in pairwise(stamps)) or [0]
        expected = stamps[-1] + gaps[3 * (len(gaps) - 1) // 4]
        on_its_way = stamps[-1] < stamp and expected <= stamp + SAME_MOMENT
        # All of them newer by that much: the images have gone back to a bag's start, and the states will.
        return on_its_way or stamps[0] - stamp > STATE_TOLERANCE * 1e9

    def nearest(self, stamp: int) -> Any | None:
        """Return the message nearest to ``stamp`` in ns; the last when either has no stamp."""
        with self._changed:
            if not self._kept:
                return None
            last_stamp, last = self._kept[-1]
            if not stamp or not last_stamp:
                return last
            # Of equally near ones the last.
            return min(reversed(self._kept), key=lambda pair: abs(pair[0] - stamp))[1]


class States:
    """The state's parts in order, each with the messages that came for it."""

    def __init__(self, sources: Sequence[StateSource]) -> None:
        self.sources = tuple(sources)
        self._stores = [JointStates(source.joints) for source in self.sources]

    def add(self, index: int, message: Any) -> bool:
        """Take in a message of source ``index``; False when it holds nothing of the state.

        Raises MessageError for a stamp that is none.
        """
        return self._stores[index].add(_stamp(message), message)

    def vector(self, stamp: int) -> np.ndarray:
        """Return the state nearest to ``stamp`` in ns, float32 [S]; waits a moment for one that is due.

        Raises MissingStateError when a part has not come or is from another time, MessageError for a bad one.
        """
        until = time.monotonic() + GRACE
        for store in self._stores:
            store.wait(stamp, until)
        parts = []
        for source, store in zip(self.sources, self._stores, strict=True):
            message = store.nearest(stamp)
            if message is None:
                raise MissingStateError(f"no joint states yet; the policy needs {_names(source)}")
            came = _stamp(message)
            apart = abs(stamp - came) / 1e9
            if stamp and came and apart > STATE_TOLERANCE:
                raise MissingStateError(f"the nearest joint state is {apart:.1f} s apart from the images")
            parts.append(source.read(message))
        if not parts:
            raise MissingStateError("the policy takes a state and no topic is named for it")
        return np.concatenate(parts)


def _names(source: StateSource) -> str:
    return ", ".join(name.removeprefix("position.") for name in state_names([source]))


def _stamp(message: Any) -> int:
    """Return the header's stamp in ns; 0 for messages without a header."""
    header = getattr(message, "header", None)
    return 0 if header is None else nanoseconds_from_stamp(header.stamp)
