# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Records topics to a new MCAP bag, as they were serialised."""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.writer import BagWriter
from vla_iss_ros.ros.message_types import import_message_type

DISCOVERY_PERIOD = 0.2
DEPTH = 100


class OutputRecorder(Node):
    """Subscribes to topics as they appear; the bag has its name once the recording has ended well.

    Messages are logged by the node's clock. On simulated time that stands at 0 until /clock comes: of what came before,
    each topic's last message is logged at the first time that is known, and the rest is left out.
    """

    # A recording is worth more than a quick end; closing writes the index.
    longest_end = 20.0

    def __init__(self) -> None:
        """Open the bag; raises ValueError in one line when it cannot be written."""
        super().__init__("output_recorder")
        self._declare("bag", "", "Directory of the new bag.")
        self._declare("topics", ["/diagnostics"], "Topics to record, each 'NAME' or 'NAME TYPE'.")
        self._declare(
            "pattern", r".*/output/.*", "Regular expression of further topics to record; empty: none."
        )
        self._declare("exclude", "", "Regular expression of topics to leave out; empty: none.")
        self._declare("overwrite", False, "Replace a bag of the same name.")
        path = self.get_parameter("bag").value
        if not path:
            raise ValueError("bag must be set: -p bag:=DIRECTORY")
        self._types = dict(_named(entry) for entry in self.get_parameter("topics").value)
        self._pattern, self._exclude = self._expression("pattern"), self._expression("exclude")
        self.exit_status = 0
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._failed: set[str] = set()
        self._early: dict[str, tuple[str, bytes]] = {}
        self._left_out = 0
        self._group = MutuallyExclusiveCallbackGroup()
        self._writer: BagWriter | None = BagWriter(path, overwrite=self.get_parameter("overwrite").value)
        self._writer.__enter__()
        self._subscriptions_by_topic: dict[str, Any] = {}
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DISCOVERY_PERIOD, self._discover, callback_group=self._group, clock=steady)
        self._discover()

    def end_with(self, requested: threading.Event) -> None:
        """Nothing ends this node but ``requested``."""

    def close(self) -> None:
        """Close the bag and give it its name."""
        stamp = self.get_clock().now().nanoseconds
        with self._lock:
            if self._writer is None:
                return
            if stamp:
                self._write_early(stamp)
            writer, self._writer = self._writer, None
            try:
                writer.__exit__(None, None, None)
            except (BagError, OSError) as error:
                self.exit_status = 1
                self.get_logger().error(f"recording not finished: {error}")
                return
        total = sum(self._counts.values())
        self.get_logger().info(f"recorded {total} messages of {len(self._counts)} topics to '{writer.path}'")
        early = self._left_out + len(self._early)
        if not stamp and early:
            self.exit_status = 1
            self.get_logger().error(
                f"{early} messages came and no /clock, so none could be logged; publish /clock or set use_sim_time to "
                "false"
            )
        elif early:
            self.get_logger().info(f"{early} messages from before the first /clock were left out")

    def _declare(self, name: str, default: Any, text: str) -> None:
        self.declare_parameter(name, default, ParameterDescriptor(description=text, read_only=True))

    def _expression(self, name: str) -> re.Pattern[str] | None:
        text = self.get_parameter(name).value
        try:
            return re.compile(text) if text else None
        except re.error as error:
            raise ValueError(f"{name} must be a regular expression, got '{text}': {error}") from error

    def _discover(self) -> None:
        for topic, kinds in self.get_topic_names_and_types():
            if self._wanted(topic) and self.count_publishers(topic):
                self._subscribe(topic, self._types.get(topic) or kinds[0])
        for topic, kind in self._types.items():
            if kind:
                self._subscribe(topic, kind)

    def _wanted(self, topic: str) -> bool:
        if topic in self._types:
            return True
        excluded = self._exclude is not None and self._exclude.fullmatch(topic)
        return not excluded and self._pattern is not None and self._pattern.fullmatch(topic) is not None

    def _subscribe(self, topic: str, kind: str) -> None:
        if topic in self._subscriptions_by_topic or topic in self._failed:
            return
        try:
            message_type = import_message_type(kind)
        except ValueError as error:
            self._give_up(topic, error)
            return
        self._subscriptions_by_topic[topic] = self.create_subscription(
            message_type,
            topic,
            lambda data: self._record(topic, kind, data),
            self._matching_qos(topic),
            callback_group=self._group,
            raw=True,
        )
        self.get_logger().info(f"recording {topic}")

    def _matching_qos(self, topic: str) -> QoSProfile:
        """Return the strongest QoS that every present publisher offers."""
        offered = [info.qos_profile for info in self.get_publishers_info_by_topic(topic)]
        qos = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        if any(each.reliability != ReliabilityPolicy.RELIABLE for each in offered):
            qos.reliability = ReliabilityPolicy.BEST_EFFORT
        if offered and all(each.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in offered):
            qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
        return qos

    def _record(self, topic: str, kind: str, data: Any) -> None:
        stamp = self.get_clock().now().nanoseconds
        with self._lock:
            if self._writer is None:
                return
            if stamp:
                self._write_early(stamp)
                self._write(topic, kind, bytes(data), stamp)
                return
            if not self._early:
                self.get_logger().info("waiting for /clock")
            # The last one alone: a latched message counts on, a status is out of date with the next.
            self._left_out += topic in self._early
            self._early[topic] = (kind, bytes(data))

    def _write_early(self, stamp: int) -> None:
        early, self._early = self._early, {}
        for topic, (kind, data) in early.items():
            self._write(topic, kind, data, stamp)

    def _write(self, topic: str, kind: str, data: bytes, stamp: int) -> None:
        assert self._writer is not None
        try:
            self._writer.write_raw(topic, kind, data, stamp)
        except BagError as error:
            self._give_up(topic, error)
            return
        self._counts[topic] += 1

    def _give_up(self, topic: str, error: ValueError) -> None:
        if topic not in self._failed:
            self._failed.add(topic)
            self.get_logger().warning(f"{topic} is not recorded: {error}")


def _named(entry: str) -> tuple[str, str]:
    """Return name and type of 'NAME TYPE', the type empty where it is not given."""
    name, _, kind = entry.strip().partition(" ")
    if not name.startswith("/"):
        raise ValueError(f"topics must be absolute names, got '{entry}'")
    return name, kind.strip()
