# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions, and whether the publishers of their topics fit them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # its name in Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from vla_iss_ros.ros.faults import Faults

UNKNOWN_NAME = "_NODE_NAME_UNKNOWN_"
UNNAMED = "a node whose name is not known yet"


class Connections:
    """Subscribes; names publishers whose messages cannot arrive, by topic, until they change or go."""

    def __init__(self, node: Node, faults: Faults, group: Any) -> None:
        self._node, self._faults, self._group = node, faults, group
        self._subscriptions: list[Any] = []
        self._judged: list[tuple[Any, str]] = []

    def listen(
        self,
        kind: Any,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
        entity: str | None = None,
        remedy: str = "qos_overrides for this topic",
        judged: bool = True,
        lost: Callable[[int], None] | None = None,
    ) -> None:
        """Subscribe; ``remedy`` is what to set where a publisher's QoS does not fit.

        ``judged``: a mismatch is a problem; false for the other of two complementary subscriptions. ``lost`` hears how
        many messages the middleware has lost.
        """
        name = self._node.resolve_topic_name(topic)

        def incompatible(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._faults.log(
                f"qos {name}",
                f"a publisher of {name} offers another {policy} than this node asks for, so nothing comes "
                f"from it; set {remedy}",
            )

        def message_lost(event: Any) -> None:
            if lost is not None:
                lost(event.total_count_change)

        events = SubscriptionEventCallbacks(
            incompatible_qos=incompatible, message_lost=None if lost is None else message_lost
        )
        if not judged:
            events = SubscriptionEventCallbacks(use_default_callbacks=False)
        subscription = self._node.create_subscription(
            kind,
            topic,
            callback,
            qos,
            callback_group=self._group,
            event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(entity_id=entity),
        )
        self._subscriptions.append(subscription)
        if judged:
            package, name_of_type = kind.__module__.split(".")[0], kind.__name__
            self._judged.append((subscription, f"{package}/msg/{name_of_type}"))

    def close(self) -> None:
        """Destroy every subscription."""
        self._judged.clear()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def problems(self) -> dict[str, str]:
        """Return what keeps messages away at present, a line for each topic."""
        found = {}
        for subscription, type_name in list(self._judged):
            topic = subscription.topic_name
            for publisher in self._node.get_publishers_info_by_topic(topic):
                line = _mismatch(publisher, type_name, subscription.qos_profile)
                if line:
                    found[topic] = f"nothing comes from {_name(publisher)} on {topic}: {line}"
        return found

    def offered(self) -> dict[str, list[str]]:
        """Return the types that publishers send at present, by topic; topics without a publisher are left out."""
        found = {}
        for subscription, _ in list(self._judged):
            topic = subscription.topic_name
            types = sorted({each.topic_type for each in self._node.get_publishers_info_by_topic(topic)})
            if types:
                found[topic] = types
        return found


def _mismatch(publisher: Any, type_name: str, wanted: QoSProfile) -> str:
    if publisher.topic_type != type_name:
        return f"it sends {publisher.topic_type} and this node takes {type_name}"
    fits, reason = qos_check_compatible(publisher.qos_profile, wanted)
    return f"QoS, {' '.join(reason.split())}" if fits == QoSCompatibility.ERROR else ""


def _name(publisher: Any) -> str:
    # The middleware hears of a publisher before it hears of its node.
    if publisher.node_name == UNKNOWN_NAME:
        return UNNAMED
    return f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
