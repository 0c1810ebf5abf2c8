# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What arrived on one camera's topic, and what was lost on the way."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

# Periods that the usual one is taken from, and the least that tell it. It is a low quantile of them, for where most
# images are lost most periods are too long.
PERIODS, ENOUGH, QUANTILE = 60, 5, 0.2
EXPECTED = 15
# Between two frames of an even stream there is one period; from one and a half on, one is missing.
MISSING = 1.5
# A pause this long is a camera that stopped, not frames that were lost.
STOPPED_AFTER = 50
WINDOW = 5.0


@dataclass
class CameraStatistics:
    """Counts of one camera's images; ``arrived`` (monotonic) and ``period`` in seconds, NaN at first.

    ``lost``: images that the middleware says were lost. ``missing``: images that gaps in the stamps speak of, wherever
    they got lost; a camera whose rate changes can count as well.
    """

    received: int = 0
    arrived: float = float("nan")
    period: float = float("nan")
    description: dict[str, Any] = field(default_factory=dict)
    lost: int = 0
    missing: int = 0
    _stamp: int = 0
    _periods: deque[int] = field(default_factory=lambda: deque(maxlen=PERIODS))
    _recent: deque[tuple[float, int, int, int]] = field(default_factory=lambda: deque(maxlen=4096))

    def note(self, message: Any) -> None:
        """Take in one message's arrival."""
        now = time.monotonic()
        self.received += 1
        if self.received > 1:
            period = now - self.arrived
            self.period = period if self.received == 2 else self.period + 0.1 * (period - self.period)
        self.arrived = now
        self._recent.append((now, 1, 0, 0))
        self.description = {
            "frame_id": message.header.frame_id[:80],
            "format": getattr(message, "encoding", None) or getattr(message, "format", ""),
            "bytes": len(message.data),
        }

    def note_stamp(self, stamp: int) -> None:
        """Take in one message's stamp, ns; 0 and stamps that go back tell nothing."""
        period, self._stamp = stamp - self._stamp if self._stamp else 0, stamp
        if period <= 0:
            return
        usual = period
        if len(self._periods) >= ENOUGH:
            usual = sorted(self._periods)[int(QUANTILE * len(self._periods))]
        count = round(period / usual) - 1
        if period > MISSING * usual and count < STOPPED_AFTER:
            self.missing += count
            self._recent.append((time.monotonic(), 0, count, 0))
        self._periods.append(period)

    def note_lost(self, count: int) -> None:
        """Take in the middleware's word that ``count`` messages were lost."""
        self.lost += count
        self._recent.append((time.monotonic(), 0, 0, count))

    def missing_lately(self) -> float:
        """Return the share of the last seconds' images that did not come, or 0.0 when few were expected.

        Among them are images that came while this process was busy: it keeps the newest alone.
        """
        came, missing, lost = self._sums()
        return _share(max(missing, lost), came)

    def lost_lately(self) -> float:
        """Return the share that the middleware says it lost, or 0.0 when few were expected."""
        came, _, lost = self._sums()
        return _share(lost, came)

    def _sums(self) -> tuple[int, int, int]:
        since = time.monotonic() - WINDOW
        recent = [entry for entry in self._recent.copy() if entry[0] >= since]
        _, came, missing, lost = zip(*recent, strict=True) if recent else ((), (), (), ())
        return sum(came), sum(missing), sum(lost)


def _share(absent: int, came: int) -> float:
    return absent / (came + absent) if came + absent >= EXPECTED else 0.0
