# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Plays a rosbag2 to topics with /clock, where `ros2 bag play` is not at hand."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from builtin_interfaces.msg import Time
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from vla_iss_ros.bags.episodes import find_episodes
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.reader import Bag, RawMessage
from vla_iss_ros.messages.stamps import stamp_from_nanoseconds
from vla_iss_ros.ros.message_types import import_message_type
from vla_iss_ros.ros.worker import one_line

IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
# Discovery of the other topics of a node that was just found takes a moment longer.
SETTLING = 0.5
CLOCK_BEFORE_START = 0.1


class StoppedError(Exception):
    """The process shall end."""


class BagPlayer(Node):
    """Publishes a bag's messages as they were serialised, at the pace of their log stamps."""

    def __init__(self) -> None:
        """Open the bag and advertise its topics; raises ValueError in one line when it cannot be played."""
        super().__init__("bag_player")
        self._declare()
        self.exit_status = 0
        self._stop = threading.Event()
        self._bag = Bag(self._value("bag") or _missing("bag"))
        self._episodes = self._chosen_episodes()
        self._clock_publisher = self.create_publisher(Clock, "/clock", 10)
        self._publishers_by_topic = self._advertise()
        self._requested = threading.Event()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)

    def end_with(self, requested: threading.Event) -> None:
        """Start to play; ``requested`` is set at the bag's end when ``exit_at_end`` is."""
        self._requested = requested
        self._thread.start()

    def close(self) -> None:
        """Stop playing."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
        self._bag.close()

    def _declare(self) -> None:
        def declare(
            name: str, default: Any, text: str, low: float | None = None, high: float | None = None
        ) -> None:
            descriptor = ParameterDescriptor(description=text, read_only=True)
            if isinstance(default, float) and low is not None and high is not None:
                descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
            elif low is not None and high is not None:
                descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
            self.declare_parameter(name, default, descriptor)

        declare("bag", "", "Directory of the rosbag2 recording.")
        declare("rate", 1.0, "Speed of the bag's time; 0.5 is half speed.", 0.01, 100.0)
        declare("loop", False, "Start again at the end.")
        declare("start_episode", 0, "First episode to play, counted from 0.", 0, 2**31 - 1)
        declare("episodes", Parameter.Type.INTEGER_ARRAY, "Episodes to play, in this order; not set: all.")
        declare("episode_topic", "/episode", "Topic whose messages mark where episodes start.")
        declare("clock_frequency", 100.0, "How often /clock is published between messages, Hz.", 1.0, 1000.0)
        declare(
            "wait_for_subscribers",
            1,
            "Start when an image topic has this many subscriptions; 0 starts at once.",
            0,
            1000,
        )
        declare("wait_timeout", 30.0, "Start without them after this time, s.", 0.0, 3600.0)
        declare("image_reliability", "reliable", "QoS of images: reliable or best_effort.")
        declare(
            "latched_topics",
            ["/instruction", "/episode"],
            "Topics whose last message late subscribers get too.",
        )
        declare("exit_at_end", True, "End the process, with status 0, when the bag has been played.")

    def _value(self, name: str) -> Any:
        return self.get_parameter_or(name, Parameter(name)).value

    def _chosen_episodes(self) -> list[tuple[int, int | None]]:
        """Return the stretches of log time to play, [start, end) in ns; None is the bag's end."""
        images = [name for name, topic in self._bag.topics.items() if topic.type_name in IMAGES]
        frame_topic = images[0] if images else next(iter(self._bag.topics), "")
        starts = [item.start for item in find_episodes(self._bag, self._value("episode_topic"), frame_topic)]
        ends: list[int | None] = [*starts[1:], None]
        stretches = list(zip(starts, ends, strict=True))
        wanted, first = self._value("episodes"), self._value("start_episode")
        if wanted is None and first == 0:
            return [(0, None)]
        indices = list(wanted) if wanted is not None else list(range(first, len(stretches)))
        unknown = [index for index in indices if not 0 <= index < len(stretches)]
        if unknown or not indices:
            raise ValueError(
                f"episodes must be in [0, {len(stretches) - 1}], got {unknown or first}; "
                f"bag '{self._bag.path}' has {len(stretches)}"
            )
        return [stretches[index] for index in indices]

    def _advertise(self) -> dict[str, Any]:
        reliability = self._value("image_reliability")
        if reliability not in ("reliable", "best_effort"):
            raise ValueError(f"image_reliability must be reliable or best_effort, got '{reliability}'")
        publishers = {}
        for name, topic in self._bag.topics.items():
            if name in ("/clock", "/parameter_events", "/rosout"):
                continue
            try:
                kind = import_message_type(topic.type_name)
            except ValueError as error:
                self.get_logger().warning(f"topic {name} is not played: {error}")
                continue
            qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
            if topic.type_name in IMAGES:
                qos.reliability = ReliabilityPolicy[reliability.upper()]
            if name in self._value("latched_topics"):
                qos.depth, qos.durability = 1, DurabilityPolicy.TRANSIENT_LOCAL
            publishers[name] = self.create_publisher(kind, name, qos)
        if not publishers:
            raise ValueError(f"bag '{self._bag.path}' has no topic that can be played here")
        return publishers

    def _run(self) -> None:
        try:
            self._wait_for_subscribers()
            while True:
                count = self._play_once()
                if not self._value("loop"):
                    break
            self._drain()
            self.get_logger().info(f"played {count} messages of '{self._bag.path}'")
        except StoppedError:
            return
        except BagError as error:
            self.exit_status = 1
            self.get_logger().error(str(error))
        except Exception as error:
            self.exit_status = 1
            self.get_logger().error(f"playing failed: {one_line(error)}")
        if self._value("exit_at_end"):
            self._requested.set()

    def _wait_for_subscribers(self) -> None:
        wanted, until = self._value("wait_for_subscribers"), time.monotonic() + self._value("wait_timeout")
        if wanted == 0:
            return
        while self._most_subscribers() < wanted:
            if time.monotonic() >= until:
                self.get_logger().warning(
                    f"no topic has {wanted} subscriptions after {self._value('wait_timeout'):g} s; "
                    "playing all the same"
                )
                return
            self._pause(0.05)
        self._pause(SETTLING)

    def _most_subscribers(self) -> int:
        # Of images where there are any: a node may subscribe to other topics more than once.
        images = [topic for topic in self._publishers_by_topic if self._bag.topics[topic].type_name in IMAGES]
        counted = images or list(self._publishers_by_topic)
        return max(self._publishers_by_topic[topic].get_subscription_count() for topic in counted)

    def _play_once(self) -> int:
        count = 0
        for start, end in self._episodes:
            messages = self._between(start, end)
            first = next(messages, None)
            if first is None:
                continue
            # Nodes on simulated time should know the time before the first message reaches them.
            self._publish_clock(first.stamp)
            self._pause(CLOCK_BEFORE_START)
            due = self._pace(first.stamp)
            for message in _chained(first, messages):
                due(message.stamp)
                self._publishers_by_topic[message.topic].publish(bytes(message.data))
                count += 1
        return count

    def _between(self, start: int, end: int | None) -> Iterator[RawMessage]:
        for message in self._bag.raw_messages(list(self._publishers_by_topic)):
            if end is not None and message.stamp >= end:
                return
            if message.stamp >= start:
                yield message

    def _pace(self, first: int) -> Callable[[int], None]:
        """Return a function that waits until a log stamp is due, with /clock going on meanwhile."""
        began, rate = time.monotonic(), self._value("rate")
        tick = 1 / self._value("clock_frequency")

        def wait_until(stamp: int) -> None:
            target = began + (stamp - first) / 1e9 / rate
            while (left := target - time.monotonic()) > 0:
                self._publish_clock(stamp - round(left * rate * 1e9))
                self._pause(min(left, tick))
            self._publish_clock(stamp)

        return wait_until

    def _publish_clock(self, stamp: int) -> None:
        self._clock_publisher.publish(Clock(clock=stamp_from_nanoseconds(max(stamp, 0), Time)))

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError

    def _drain(self) -> None:
        """Let reliable subscribers have the last messages before the process ends."""
        for publisher in self._publishers_by_topic.values():
            with contextlib.suppress(Exception):  # not every middleware can tell
                publisher.wait_for_all_acked(Duration(seconds=1))


def _chained(first: RawMessage, rest: Iterator[RawMessage]) -> Iterator[RawMessage]:
    yield first
    yield from rest


def _missing(name: str) -> str:
    raise ValueError(f"{name} must be set: -p {name}:=DIRECTORY")
