# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of live nodes share: frames of the sample bag sent to real processes, and what they answer."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header, String

from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.messages.encoding import encode_compressed_image, encode_image
from vla_iss_ros.messages.stamps import stamp_from_nanoseconds

SAMPLES = Path(__file__).parents[1] / "samples"
PROFILE = SAMPLES.parent / "config" / "fastdds_shm.xml"
CAMERAS = ("front", "wrist")
PATIENCE = 30.0
KEPT = 512
# A robot's joint states come more often than its images; here each comes a little before its frame.
AHEAD = 0.01
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


def arguments(**parameters: Any) -> list[str]:
    """Return the command line that gives a node ``parameters``."""
    return [part for name, value in parameters.items() for part in ("-p", f"{name}:={json.dumps(value)}")]


class Robot:
    """A node in this process that sends the sample bag's frames, newly stamped, and notes what comes back."""

    def __init__(
        self, domain: int, nodes: Sequence[str], size: tuple[int, int] | None = None, count: int = 40
    ) -> None:
        """``size``: (width, height) that frames are sent at as Image; None: as CompressedImage, as recorded."""
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        # A camera driver's, as docs/deployment.md advises: without it large images come seconds late at times.
        for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
            os.environ.setdefault(name, str(PROFILE))
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("robot", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self.statuses: dict[str, dict[str, str]] = {}
        self._subscriptions = [
            self._node.create_subscription(DiagnosticArray, "/diagnostics", self._note, KEPT)
        ]
        self._kind = Image if size else CompressedImage
        self._frames = self._load(size, count)
        self._publishers = {
            topic: [self._node.create_publisher(kind, f"/{node}/input/{topic}", qos) for node in nodes]
            for topic, kind, qos in self._topics()
        }
        self.sent: dict[int, float] = {}
        self._stamp = 0

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def listen(self, kind: Any, topic: str, callback: Callable[[Any], None]) -> None:
        """Call ``callback`` with every message of ``topic``."""
        self._subscriptions.append(self._node.create_subscription(kind, topic, callback, KEPT))

    def until(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """Serve callbacks until ``condition()`` is truthy, and return that; raises RuntimeError after ``seconds``."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                said = {name: values["message"] for name, values in self.statuses.items()}
                raise RuntimeError(f"{what} did not happen within {seconds:g} s; the nodes say {said}")
            self._executor.spin_once(0.02)
        return found

    def serve(self, seconds: float) -> None:
        """Serve callbacks for ``seconds``."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(left)

    def heard_by(self, node: str) -> bool:
        """Return whether a node listens to both cameras."""
        return all(self._node.count_subscribers(f"/{node}/input/{camera}/image") for camera in CAMERAS)

    def send(self) -> int:
        """Send the next frame with its state and instruction; returns its stamp in ns."""
        self._stamp = max(time.time_ns(), self._stamp + 1)
        observation, messages = next(self._frames)
        header = Header(stamp=stamp_from_nanoseconds(self._stamp, Time))
        self._publish("instruction", String(data=observation.instruction))
        state = [float(value) for value in observation.state]
        names = ["hand_x", "hand_y", "hand_z", "gripper"]
        self._publish("joint_states", JointState(header=header, name=names, position=state))
        self.serve(AHEAD)
        self.sent[self._stamp] = time.monotonic()
        for camera, message in messages.items():
            message.header.stamp = header.stamp
            self._publish(f"{camera}/image", message)
        return self._stamp

    def send_at(self, rate: float, seconds: float) -> None:
        """Send frames at ``rate`` Hz for ``seconds``, serving callbacks between."""
        start = time.monotonic()
        for number in range(round(rate * seconds)):
            self.serve(start + number / rate - time.monotonic())
            self.send()

    def _publish(self, topic: str, message: Any) -> None:
        for publisher in self._publishers[topic]:
            publisher.publish(message)

    def _topics(self) -> Iterator[tuple[str, Any, Any]]:
        yield "instruction", String, LATCHED
        yield "joint_states", JointState, 10
        for camera in CAMERAS:
            yield f"{camera}/image", self._kind, NEWEST

    def _load(self, size: tuple[int, int] | None, count: int) -> Iterator[Any]:
        with Bag(SAMPLES / "metaworld") as bag:
            chosen = [item.observation for item in itertools.islice(iterate_observations(bag), count)]
        return itertools.cycle([(item, self._encode(item.images, size)) for item in chosen])

    def _encode(self, images: Any, size: tuple[int, int] | None) -> dict[str, Any]:
        if size is None:
            return {
                camera: encode_compressed_image(pixels, Header(frame_id=camera), CompressedImage)
                for camera, pixels in images.items()
            }
        return {
            camera: encode_image(cv2.resize(pixels, size), Header(frame_id=camera), Image, "rgb8")
            for camera, pixels in images.items()
        }

    def _note(self, array: Any) -> None:
        for status in array.status:
            values = {pair.key: pair.value for pair in status.values}
            self.statuses[status.name] = {**values, "message": status.message}


def stamp_of(message: Any) -> int:
    """Return a message's stamp in ns."""
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)
