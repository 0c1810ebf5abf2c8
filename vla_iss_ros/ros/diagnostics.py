# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics once a second, whatever the node does: on a steady clock, in a callback group of their own."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

LONGEST = 1000
PERIOD = 1.0  # s
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Status:
    """One line of diagnostics; the node's name is put before ``task``."""

    task: str
    level: bytes
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


class Diagnostics:
    """Publishes what ``gather`` returns, once a second."""

    def __init__(self, node: Node, gather: Callable[[], Iterable[Status]]) -> None:
        self._node, self._gather = node, gather
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_timer(
            PERIOD,
            self.publish,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def publish(self) -> None:
        """Publish now."""
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name()
        array.status = [to_message(status, name) for status in self._gather()]
        self._publisher.publish(array)


def to_message(status: Status, node_name: str) -> DiagnosticStatus:
    """Return ``status`` as a message, named ``node_name: task``; the computer is its hardware id."""
    return DiagnosticStatus(
        level=status.level,
        name=f"{node_name}: {status.task}",
        message=printable(status.message),
        hardware_id=platform.node() or "unknown",
        values=[KeyValue(key=printable(key), value=plain(value)) for key, value in status.values.items()],
    )


def plain(value: Any) -> str:
    """Return a value as printable text; numbers bare, so that plotting tools read them."""
    if isinstance(value, bool) or not isinstance(value, float):
        return printable(str(value))
    return "nan" if math.isnan(value) else f"{value:.6g}"


def printable(text: str) -> str:
    """Return ``text`` on one line, cut to 1000 characters, with its control and format characters escaped.

    Senders choose frame ids and formats; a terminal would obey what they hide there.
    """
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in shown
    )
