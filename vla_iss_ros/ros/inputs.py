# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions: they keep the newest messages and hand sets of images to a slot; nothing is decoded here.

One JointState message must hold all that is selected from its topic. Several publishers may share the topic, but
their messages are not merged; those that hold none of the names are left out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.instructions import instruction_from_string
from vla_iss_ros.messages.stamps import nanoseconds_from_stamp
from vla_iss_ros.ros.camera_statistics import CameraStatistics
from vla_iss_ros.ros.connections import Connections
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.ros.labels import LabelImages
from vla_iss_ros.ros.message_types import import_message_type
from vla_iss_ros.ros.sources import sources_of
from vla_iss_ros.ros.states import States
from vla_iss_ros.ros.synchronisation import Messages, Stamps, Synchroniser
from vla_iss_ros.ros.worker import LatestSlot
from vla_iss_ros.settings.instruction import one_spaced

IMAGE_TYPES = {"raw": Image, "compressed": CompressedImage}


@dataclass(frozen=True)
class Frame:
    """One complete set of images, as messages; ``arrived``: monotonic seconds of its last image.

    ``stood_in``: cameras that are missing, whose last image stands in.
    """

    images: Messages
    stamps: Stamps
    arrived: float
    stood_in: frozenset[str] = frozenset()

    @property
    def stamp(self) -> int:
        """The newest stamp of the set, ns."""
        return max(self.stamps.values())

    @property
    def spread(self) -> float:
        """Seconds between the oldest and the newest stamp of the set."""
        return (self.stamp - min(self.stamps.values())) / 1e9


class Inputs:
    """All subscriptions of a node that runs a policy, in a callback group of their own."""

    def __init__(
        self,
        node: Node,
        settings: Any,
        faults: Faults,
        slot: LatestSlot[Frame],
        on_jump: Callable[[float], None],
        with_labels: bool,
    ) -> None:
        """Subscribe to what ``settings`` ask for; frames go to ``slot`` once :attr:`enabled` is set."""
        self._node, self._faults, self._slot = node, faults, slot
        self.connections = Connections(node, faults, MutuallyExclusiveCallbackGroup())
        self.sources = sources_of(settings)
        self._lock = threading.Lock()
        self._instruction = ""
        self._bad_instruction: tuple[str, str] | None = None
        self.states = States(self.sources.state)
        self._slop = round(settings.sync_slop * 1e9)
        self.enabled = False
        self.cameras = {camera: CameraStatistics() for camera in settings.cameras}
        missing_after = None if settings.missing_camera == "wait" else settings.missing_camera_after
        self.synchroniser = Synchroniser(
            settings.cameras, settings.sync_slop, self._take_set, on_jump, missing_after=missing_after
        )
        self.stood_in = 0
        self.labels = LabelImages(settings.cameras, settings.sync_slop) if with_labels else None
        try:
            self._subscribe(settings)
        except Exception:  # such as a QoS override that does not exist
            self.close()
            raise

    def _subscribe(self, settings: Any) -> None:
        # In this order the executor asks them: what comes together with images is there when they are.
        for index, state in enumerate(self.sources.state):
            self.connections.listen(
                import_message_type(state.type_name),
                state.topic,
                partial(self._take_state, index),
                _newest_only("best_effort", 10),
                # Parameters of overrides have a topic's name, and a topic may hold several parts of the state.
                entity=f"state_{index}" if index else None,
            )
        # Latched samples need a transient-local subscription, which a volatile publisher does not match.
        for durability in (DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE):
            # Reliable: a lost instruction would not be sent again. A best-effort publisher needs qos_overrides.
            qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
            entity = durability.name.lower()
            self.connections.listen(
                String,
                self.sources.instruction,
                partial(self._take_instruction, entity),
                qos,
                entity=entity,
                judged=durability == DurabilityPolicy.VOLATILE,
            )
        image_qos = _newest_only(settings.image_reliability)
        for camera, source in self.sources.images.items():
            self.connections.listen(
                CompressedImage if source.compressed else Image,
                source.topic,
                partial(self._take_image, camera),
                image_qos,
                remedy="image_reliability, or qos_overrides for this topic",
                lost=self.cameras[camera].note_lost,
            )
            if self.labels is not None:
                self.connections.listen(
                    IMAGE_TYPES[settings.regions_transport],
                    f"~/input/{camera}/regions",
                    partial(self._take_labels, camera),
                    image_qos,
                    remedy="image_reliability, or qos_overrides for this topic",
                )

    def close(self) -> None:
        """Destroy every subscription."""
        self.enabled = False
        self.connections.close()

    def instruction(self, fallback: str) -> str:
        """Return the newest instruction, or ``fallback`` when none or an empty one arrived."""
        with self._lock:
            return self._instruction or one_spaced(fallback)

    def _stamp(self, source: str, message: Any) -> int | None:
        try:
            return nanoseconds_from_stamp(message.header.stamp)
        except MessageError as error:
            self._faults.bad_message(source, error)
            return None

    def _take_image(self, camera: str, message: Any) -> None:
        self.cameras[camera].note(message)
        stamp = self._stamp(f"camera {camera}", message)
        if stamp is not None:
            self.cameras[camera].note_stamp(stamp)
        if self.enabled and stamp is not None:
            self.synchroniser.add(camera, stamp, message)

    def _take_set(self, messages: Mapping[str, Any], stamps: Mapping[str, int]) -> None:
        newest = max(stamps.values())
        stood_in = frozenset(camera for camera, stamp in stamps.items() if newest - stamp > self._slop)
        self.stood_in += bool(stood_in)
        self._slot.put(Frame(messages, stamps, time.monotonic(), stood_in))

    def _take_labels(self, camera: str, message: Any) -> None:
        stamp = self._stamp(f"regions {camera}", message)
        if self.labels is not None and stamp is not None:
            self.labels.add(camera, stamp, message)

    def _take_state(self, index: int, message: Any) -> None:
        try:
            taken = self.states.add(index, message)
        except MessageError as error:
            self._faults.bad_message("joint states", error)
            return
        if not taken:
            names = ", ".join(f"'{name[:40]}'" for name in message.name[:8]) or "none"
            self._node.get_logger().info(
                f"leaving out joint states that hold none of state_names; these hold {names}", once=True
            )

    def _take_instruction(self, entity: str, message: String) -> None:
        try:
            text = instruction_from_string(message)
        except MessageError as error:
            # One from a latching publisher comes by both subscriptions and counts once.
            if self._bad_instruction == (message.data, entity):
                self._bad_instruction = None
                return
            other = {"volatile": "transient_local", "transient_local": "volatile"}[entity]
            self._bad_instruction = (message.data, other)
            self._faults.bad_message("instruction", error)
            return
        with self._lock:
            changed, self._instruction = text != self._instruction, text
        if changed:
            self._node.get_logger().info(f"instruction: '{text}'", throttle_duration_sec=0.5)


def _newest_only(reliability: str, depth: int = 1) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy[reliability.upper()],
        durability=DurabilityPolicy.VOLATILE,
    )
