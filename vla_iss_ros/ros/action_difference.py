# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How far a commanded action lies from our own, and how far it might lie if both come from one policy."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_iss_ros.messages.errors import MessageError

REMEMBERED = 512
NEIGHBOURS = 8


@dataclass(frozen=True)
class Difference:
    """The largest difference of two action chunks over their common steps, in physical units.

    ``largest``: of the action ``name``, in ``unit``, which is the one that stands out most from ``expected``, the
    difference that the policy's own noise, its motion between frames and the tolerance explain. ``ratio``: one to the
    other. ``mean``: over all steps and actions.
    """

    largest: float
    expected: float
    ratio: float
    name: str
    unit: str
    mean: float

    def in_words(self) -> str:
        """Return the difference beside what is expected, for people."""
        return (
            f"commanded and own action differ by at most {self.largest:.3g} {self.unit} ({self.name}), "
            f"{self.ratio:.1f} times what is expected"
        )

    def figures(self) -> dict[str, Any]:
        """Return the values for diagnostics."""
        return {
            "largest difference": self.largest,
            "expected difference": self.expected,
            "ratio to the expected": self.ratio,
            "mean difference": self.mean,
            "action": self.name,
            "unit": self.unit,
        }


class OwnActions:
    """What our copy of the policy answered so far: the range of its actions, and how they move between frames."""

    def __init__(self) -> None:
        self._low: deque[np.ndarray] = deque(maxlen=REMEMBERED)
        self._high: deque[np.ndarray] = deque(maxlen=REMEMBERED)
        self._moves: deque[np.ndarray] = deque(maxlen=NEIGHBOURS)
        self._last: np.ndarray | None = None

    def add(self, answer: np.ndarray) -> None:
        """Take in an answer, float32 [T, A]."""
        if self._last is not None and self._last.shape == answer.shape:
            self._moves.append(np.abs(answer - self._last).max(0))
        self._low.append(answer.min(0))
        self._high.append(answer.max(0))
        self._last = answer

    def expected(self, noise: np.ndarray, tolerance: float, by_stamp: bool) -> np.ndarray:
        """Return the difference, [A] in physical units, that is no reason to worry.

        The largest of: ``noise`` [A], the policy's own spread; ``tolerance`` times the size of the actions so far; and,
        for a command that may answer a neighbouring frame, how far the actions move from frame to frame.
        """
        low, high = np.min(self._low, axis=0), np.max(self._high, axis=0)
        size = np.maximum(high - low, np.maximum(np.abs(high), np.abs(low)))
        parts = [noise, tolerance * size]
        if not by_stamp and self._moves:
            parts.append(np.max(self._moves, axis=0))
        return np.max(parts, axis=0)


def spread_of(answers: np.ndarray) -> np.ndarray:
    """Return the largest difference of any two of several answers [K, T, A] to one observation, [A]."""
    return np.asarray((answers.max(0) - answers.min(0)).max(0))


def differ(
    commanded: np.ndarray,
    answer: np.ndarray,
    expected: np.ndarray,
    names: tuple[str, ...],
    units: tuple[str, ...],
) -> Difference:
    """Compare two chunks, float32 [T, A], over their common steps, beside ``expected`` [A].

    Raises MessageError when they hold other numbers of actions.
    """
    if commanded.shape[1] != answer.shape[1]:
        raise MessageError(
            "wrong size",
            f"commanded actions have {commanded.shape[1]} numbers a step, the policy gives {answer.shape[1]}",
        )
    steps = min(len(commanded), len(answer))
    difference = np.abs(commanded[:steps] - answer[:steps])
    largest = difference.max(0)
    # Where nothing is expected, equal is equal and anything else is infinitely more.
    ratios = np.divide(largest, expected, out=np.where(largest > 0, np.inf, 0.0), where=expected > 0)
    place = int(np.argmax(ratios))
    return Difference(
        float(largest[place]),
        float(expected[place]),
        float(ratios[place]),
        names[place],
        units[place],
        float(difference.mean()),
    )
