# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A level that does not flicker: it takes several results in a row to rise or fall, and more to fall than to stay."""

from __future__ import annotations

import math

from vla_iss_ros.ros.diagnostics import ERROR, OK, WARN

# Where only some frames can be judged, such as those with label images, a level lasts from one of them to the next.
UNDEFINED_FACTOR = 10


class Alarm:
    """The level of a number that comes again and again, with hysteresis in size and in time.

    It rises once ``hold`` values in a row are at or above a threshold, and falls, by itself, once ``hold`` in a row are
    below the threshold less the share ``hysteresis`` of it. NaN is nothing to judge and changes nothing, neither the
    level nor what is in a row, until ten times ``hold`` of them came in a row: then all is forgotten.
    """

    def __init__(self) -> None:
        self.level: bytes = OK
        self._rising: list[bytes] = []
        self._falling: list[bytes] = []
        self._undefined = 0

    def update(self, value: float, warn: float, error: float, hysteresis: float, hold: int) -> bytes:
        """Take in one value with the present thresholds and return the level."""
        if math.isnan(value):
            self._undefined += 1
            if self._undefined >= UNDEFINED_FACTOR * hold:
                self.reset()
            return self.level
        self._undefined = 0
        entered = _level(value, warn, error)
        kept = _level(value, warn * (1 - hysteresis), error * (1 - hysteresis))
        self._rising = [*self._rising, entered] if entered > self.level else []
        self._falling = [*self._falling, kept] if kept < self.level else []
        # Only as far as all of them agree.
        if len(self._rising) >= hold:
            self.level, self._rising = min(self._rising[-hold:]), []
        elif len(self._falling) >= hold:
            self.level, self._falling = max(self._falling[-hold:]), []
        return self.level

    def reset(self) -> None:
        """Forget the values so far."""
        self.level, self._rising, self._falling, self._undefined = OK, [], [], 0


def _level(value: float, warn: float, error: float) -> bytes:
    if value >= error:
        return ERROR
    return WARN if value >= warn else OK
