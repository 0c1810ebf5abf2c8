"""Subscriptions: they keep the newest messages and hand sets of images to a slot; nothing is decoded here.

One JointState message must hold the whole state: all of ``state_names``. Several publishers may share the topic,
but their messages are not merged; those that hold none of the names are left out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # its name in Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.instructions import instruction_from_string
from vla_iss_ros.messages.stamps import nanoseconds_from_stamp
from vla_iss_ros.ros.camera_statistics import CameraStatistics
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.ros.labels import LabelImages
from vla_iss_ros.ros.synchronisation import LARGE_JUMP, Messages, Stamps, Synchroniser
from vla_iss_ros.ros.worker import LatestSlot

IMAGE_TYPES = {"raw": Image, "compressed": CompressedImage}
JOINT_STATES_KEPT = 64


@dataclass(frozen=True)
class Frame:
    """One complete set of images, as messages; ``arrived``: monotonic seconds of its last image."""

    images: Messages
    stamps: Stamps
    arrived: float

    @property
    def stamp(self) -> int:
        """The newest stamp of the set, ns."""
        return max(self.stamps.values())

    @property
    def spread(self) -> float:
        """Seconds between the oldest and the newest stamp of the set."""
        return (self.stamp - min(self.stamps.values())) / 1e9


class JointStates:
    """The joint states that arrived last and hold any of ``names``, found again by stamp. Thread safe."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, JointState]] = deque(maxlen=JOINT_STATES_KEPT)

    def add(self, stamp: int, message: JointState) -> bool:
        """Take in a message with its stamp in ns; return False when it holds none of the names and is left out.

        Stamps of several publishers interleave; only a jump back of more than a second (a bag that starts
        again) drops what was kept.
        """
        if self._names.isdisjoint(message.name):
            return False
        with self._lock:
            if self._kept and max(kept for kept, _ in self._kept) - stamp > LARGE_JUMP:
                self._kept.clear()
            self._kept.append((stamp, message))
        return True

    def nearest(self, stamp: int) -> JointState | None:
        """Return the joint state nearest to ``stamp`` in ns; the last when either has no stamp."""
        with self._lock:
            if not self._kept:
                return None
            last_stamp, last = self._kept[-1]
            if not stamp or not last_stamp:
                return last
            # Of equally near ones the last.
            return min(reversed(self._kept), key=lambda pair: abs(pair[0] - stamp))[1]


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
        self._group = MutuallyExclusiveCallbackGroup()
        self._lock = threading.Lock()
        self._instruction = ""
        self._bad_instruction: tuple[str, str] | None = None
        self._joint_states = JointStates(settings.state_names)
        self._subscriptions: list[Any] = []
        self.enabled = False
        self.cameras = {camera: CameraStatistics() for camera in settings.cameras}
        self.synchroniser = Synchroniser(settings.cameras, settings.sync_slop, self._take_set, on_jump)
        self.labels = LabelImages(settings.cameras, settings.sync_slop) if with_labels else None
        try:
            self._subscribe(settings)
        except Exception:  # such as a QoS override that does not exist
            self.close()
            raise

    def _subscribe(self, settings: Any) -> None:
        image_qos = _newest_only(settings.image_reliability)
        for camera in settings.cameras:
            self._listen(
                IMAGE_TYPES[settings.image_transport],
                f"~/input/{camera}/image",
                partial(self._take_image, camera),
                image_qos,
                lost=self.cameras[camera].note_lost,
            )
            if self.labels is not None:
                self._listen(
                    IMAGE_TYPES[settings.regions_transport],
                    f"~/input/{camera}/regions",
                    partial(self._take_labels, camera),
                    image_qos,
                )
        self._listen(
            JointState, "~/input/joint_states", self._take_joint_state, _newest_only("best_effort", 10)
        )
        # Latched samples need a transient-local subscription, which a volatile publisher does not match.
        for durability in (DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE):
            # Reliable: a lost instruction would not be sent again. A best-effort publisher needs qos_overrides.
            qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
            entity = durability.name.lower()
            take = partial(self._take_instruction, entity)
            self._listen(String, "~/input/instruction", take, qos, entity)

    def _listen(
        self,
        kind: Any,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
        entity: str | None = None,
        lost: Callable[[int], None] | None = None,
    ) -> None:
        name = self._node.resolve_topic_name(topic)

        def incompatible(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._faults.log(
                f"qos {name}",
                f"a publisher of {name} offers another {policy} than this node asks for, so nothing comes "
                "from it; set image_reliability, or qos_overrides for this topic",
            )

        def message_lost(event: Any) -> None:
            if lost is not None:
                lost(event.total_count_change)

        events = SubscriptionEventCallbacks(
            incompatible_qos=incompatible, message_lost=None if lost is None else message_lost
        )
        if entity is not None:  # one of two complementary subscriptions: a mismatch of one is expected
            events = SubscriptionEventCallbacks(use_default_callbacks=False)
        self._subscriptions.append(
            self._node.create_subscription(
                kind,
                topic,
                callback,
                qos,
                callback_group=self._group,
                event_callbacks=events,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(entity_id=entity),
            )
        )

    def close(self) -> None:
        """Destroy every subscription."""
        self.enabled = False
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def instruction(self, fallback: str) -> str:
        """Return the newest instruction, or ``fallback`` when none or an empty one arrived."""
        with self._lock:
            return self._instruction or fallback

    def joint_state(self, stamp: int) -> JointState | None:
        """Return the joint state nearest to ``stamp`` in ns; the last when either has no stamp."""
        return self._joint_states.nearest(stamp)

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
        self._slot.put(Frame(messages, stamps, time.monotonic()))

    def _take_labels(self, camera: str, message: Any) -> None:
        stamp = self._stamp(f"regions {camera}", message)
        if self.labels is not None and stamp is not None:
            self.labels.add(camera, stamp, message)

    def _take_joint_state(self, message: JointState) -> None:
        stamp = self._stamp("joint states", message)
        if stamp is not None and not self._joint_states.add(stamp, message):
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
