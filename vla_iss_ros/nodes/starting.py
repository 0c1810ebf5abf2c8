# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Start and end of every executable: exit status 0 within 2 s of SIGINT or SIGTERM, whatever is under way."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

LONGEST_END = 1.5


class _Ending:
    """What a signal does: end at once while nothing runs yet, later ask the main thread to wind up."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.running = False
        self.longest = LONGEST_END

    def __call__(self, *_: Any) -> None:
        if not self.running:
            os._exit(0)
        if not self.requested.is_set():
            self.requested.set()
            # A policy that hangs, or a library that does not return, must not keep the process.
            last = threading.Timer(self.longest, os._exit, (0,))
            last.daemon = True
            last.start()


def _leave(status: int) -> None:
    """End now when threads are left: the interpreter's own end would abort a policy that still runs."""
    sys.stdout.flush()
    sys.stderr.flush()
    if threading.active_count() > 1:
        os._exit(status)


def start(load: Callable[[], Callable[..., Any]], arguments: list[str] | None = None) -> int:
    """Run the node that ``load()`` makes until a signal or until it is finished; return the exit status.

    ``load`` imports what is slow to import and returns a class of node, which may name its ``longest_end``.
    Signals are handled here alone, by the main thread, which waits outside of rclpy: its own handlers end the
    context under running callbacks
    (https://github.com/ros2/rclpy/issues/1166).
    """
    ending = _Ending()
    signal.signal(signal.SIGINT, ending)
    signal.signal(signal.SIGTERM, ending)
    make_node = load()
    ending.longest = getattr(make_node, "longest_end", LONGEST_END)

    from vla_iss_ros.ros.running import run

    ending.running = True
    status = run(make_node, arguments, ending.requested)
    _leave(status)
    return status
