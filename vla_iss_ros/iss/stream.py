# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Carries what was measured on earlier frames to the next one."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from statistics import median

from vla_iss_ros.iss.estimators import Memory
from vla_iss_ros.iss.observation import Observation


class Stream:
    """The memory of one run of frames; consecutive frames have nearly the same map.

    Samples of earlier frames take part in the estimate of the next, with a correlation that fades from frame to frame
    as fast as the samples themselves say, and not at all where they contradict the new ones (the estimator's
    innovation test). Everything is forgotten where it cannot apply: another instruction, other cells or settings, a
    stamp that goes back (a bag that loops), or a gap in the stamps far longer than those before (another episode).
    ``forgot`` says why, for the last frame; empty where nothing was. ``forgotten`` counts how often, by reason. Not
    thread safe.
    """

    GAP_FACTOR = 10.0
    GAPS = 16

    def __init__(self) -> None:
        self._memory: Memory | None = None
        self._frames_since = 0
        self._context: tuple[str, Hashable] = ("", None)
        self._stamp: int | None = None
        self._gaps: deque[int] = deque(maxlen=self.GAPS)
        self._pending = ""
        self.forgot = ""
        self.forgotten: Counter[str] = Counter()

    def forget(self, why: str = "asked to") -> None:
        """Start anew with the next frame."""
        self._pending = why
        self.forgotten[why.split(" for ")[0]] += 1
        self._memory, self._stamp = None, None
        self._gaps.clear()

    def recall(self, observation: Observation, context: Hashable) -> Memory | None:
        """Return what earlier frames leave to ``observation``; ``context`` is all that must be as it was."""
        now = (observation.instruction, context)
        if self._stamp is not None:
            why = self._broken(observation.stamp - self._stamp, now)
            if why:
                self.forget(why)
            else:
                self._gaps.append(observation.stamp - self._stamp)
        self.forgot, self._pending = self._pending, ""
        self._context, self._stamp = now, observation.stamp
        # Frames that failed or were left out age it as well.
        self._frames_since += 1
        return None if self._memory is None else self._memory.aged(self._frames_since)

    def keep(self, memory: Memory | None) -> None:
        """Take in what the last frame leaves to the next."""
        self._memory, self._frames_since = memory, 0

    def _broken(self, gap: int, now: tuple[str, Hashable]) -> str:
        if now != self._context:
            other = now[0] != self._context[0]
            return "the instruction changed" if other else "cells, pictures or settings changed"
        if gap < 0:
            return "the stamps went back"
        if len(self._gaps) >= 2 and gap > self.GAP_FACTOR * max(median(self._gaps), 1):
            return f"no frame for {gap / 1e9:.1f} s"
        return ""
