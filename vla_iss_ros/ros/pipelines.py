# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a node does with frames, and the parts that every such node has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.ros.decoding import Decoder
from vla_iss_ros.ros.diagnostics import Status
from vla_iss_ros.ros.inputs import Frame


class Pipeline(Protocol):
    """Made when the node is configured, and thrown away when it is cleaned up."""

    policy: Policy
    with_labels: bool
    tasks: tuple[str, ...]

    def process(self, frame: Frame, decoder: Decoder, settings: Any, check: Callable[[], None]) -> None:
        """Use one frame; ``check`` raises where the work shall end. Called by the worker's thread."""

    def check(self, settings: Any) -> None:
        """Raise ValueError when the settings cannot be used at run time. Called by other threads."""

    def period(self, settings: Any) -> float:
        """Return the least seconds between the starts of two frames. Called by the worker's thread."""

    def rest(self, settings: Any, busy: float) -> float:
        """Return the least seconds to leave the device alone after ``busy`` seconds of work on a frame."""

    def statuses(self, settings: Any) -> Iterable[Status]:
        """Return the diagnostics of the results. Called by other threads."""

    def reset(self, why: str) -> None:
        """Forget what was carried from frame to frame. Called by other threads."""

    def close(self) -> None:
        """Destroy the publishers; the worker has ended."""


class Waiters:
    """Lets services wait for the outcome of the next frame. Thread safe."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._asked = 0
        self._answered = 0
        self._outcome = (False, "")

    def ask(
        self, timeout: float, abandoned: Callable[[], bool], working: Callable[[], bool] = lambda: False
    ) -> tuple[bool, str]:
        """Ask and wait for the answer; (False, why) when none came in time or waiting was ``abandoned``.

        ``timeout``: seconds without work; as long as ``working``, waiting goes on.
        """
        with self._condition:
            self._asked += 1
            number, until = self._asked, time.monotonic() + timeout
            while self._answered < number:
                if abandoned():
                    self._answered = max(self._answered, number)
                    return False, "the node was stopped before the frame was explained"
                if working():
                    until = time.monotonic() + timeout
                elif time.monotonic() >= until:
                    self._answered = number
                    return False, f"no frame was explained within {timeout:g} s; see /diagnostics"
                self._condition.wait(0.1)
            return self._outcome

    @property
    def waiting(self) -> int:
        """The number of the newest question that waits for an answer, or 0."""
        with self._condition:
            return self._asked if self._asked > self._answered else 0

    def answer(self, number: int, success: bool, text: str) -> None:
        """Answer all questions up to ``number``."""
        with self._condition:
            self._answered, self._outcome = max(self._answered, number), (success, text)
            self._condition.notify_all()
