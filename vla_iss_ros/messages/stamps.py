# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Header stamps as integer nanoseconds, and back."""

from __future__ import annotations

from typing import Any

from vla_iss_ros.messages.errors import MessageError

SECOND = 1_000_000_000
_LARGEST_SECONDS = 2**31 - 1


def nanoseconds_from_stamp(stamp: Any) -> int:
    """Return a builtin_interfaces/Time as nanoseconds.

    Raises MessageError for negative seconds and for nanoseconds outside one second.
    """
    seconds, nanoseconds = int(stamp.sec), int(stamp.nanosec)
    if seconds < 0 or not 0 <= nanoseconds < SECOND:
        raise MessageError(
            "bad stamp", f"stamp must have sec >= 0 and nanosec in [0, 1e9), got {seconds} and {nanoseconds}"
        )
    return seconds * SECOND + nanoseconds


def stamp_from_nanoseconds(nanoseconds: int, time_type: Any) -> Any:
    """Return ``nanoseconds`` as a message of ``time_type`` (builtin_interfaces/Time).

    Raises ValueError where the message cannot hold it (negative, or beyond the year 2038).
    """
    seconds, rest = divmod(int(nanoseconds), SECOND)
    if not 0 <= seconds <= _LARGEST_SECONDS:
        raise ValueError(f"stamp must be in [0, {_LARGEST_SECONDS}] s, got {nanoseconds} ns")
    return time_type(sec=seconds, nanosec=rest)
