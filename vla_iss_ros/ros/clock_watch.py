# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Notices a node's clock going back, as /clock does when a bag starts again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node


class ClockWatch:
    """Counts jumps back of the node's clock and tells of each; small steps of a jittering /clock are none."""

    LEAST = 0.5

    def __init__(self, node: Node, on_jump: Callable[[float], None]) -> None:
        """Call ``on_jump`` with the seconds that the clock went back by."""
        self._on_jump = on_jump
        self._lock = threading.Lock()
        self.count, self.seconds = 0, 0.0
        threshold = JumpThreshold(
            min_forward=None,
            min_backward=Duration(nanoseconds=-round(self.LEAST * 1e9)),
            on_clock_change=False,
        )
        self._handle = node.get_clock().create_jump_callback(threshold, post_callback=self._jumped)

    def _jumped(self, jump: Any) -> None:
        seconds = -jump.delta.nanoseconds / 1e9
        with self._lock:
            self.count, self.seconds = self.count + 1, seconds
        self._on_jump(seconds)
