# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bad messages: counted by source and reason, logged without flooding."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

from vla_iss_ros.messages.errors import MessageError

QUIET = 5.0


class Faults:
    """Counts of what was wrong, and one log line each, repeated every few seconds at most. Thread safe."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._logged: dict[str, tuple[float, int]] = {}
        self._last = ("", float("-inf"))

    def bad_message(self, source: str, error: MessageError) -> None:
        """Count a bad message of ``source`` and log it as a warning."""
        line = f"bad message on {source}: {error}"
        with self._lock:
            self._counts[f"{source}: {error.reason}"] += 1
            self._last = (line, time.monotonic())
        self.log(f"{source}: {error.reason}", line)

    def log(self, key: str, line: str, error: bool = False) -> None:
        """Log ``line``, unless one of the same ``key`` was logged within the last seconds."""
        now = time.monotonic()
        with self._lock:
            logged_at, held_back = self._logged.get(key, (float("-inf"), 0))
            if now - logged_at < QUIET:
                self._logged[key] = (logged_at, held_back + 1)
                return
            self._logged[key] = (now, 0)
        # rclpy wants every severity at a place of its own in the code.
        text = f"{line} ({held_back} more of these since the last line)" if held_back else line
        if error:
            self._logger.error(text)
        else:
            self._logger.warning(text)

    def counts(self) -> dict[str, int]:
        """Return the number of bad messages by ``source: reason``."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def recent(self, seconds: float) -> str:
        """Return the last bad message's line when it is younger than ``seconds``, else an empty text."""
        with self._lock:
            line, at = self._last
        return line if time.monotonic() - at < seconds else ""
