"""The action that the robot's policy really commanded, beside what our copy of the policy answers."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import Float32MultiArray

from vla_iss_ros.messages.actions import decode_actions
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.ros.diagnostics import OK, WARN, Status
from vla_iss_ros.ros.faults import Faults

TASK = "policy agreement"
# Enough for a frame's explanation of ten seconds beside commands at 100 Hz: the comparison comes after it.
KEPT = 1024
# A command further than this from the frame, in seconds, answers another picture.
TOLERANCE = 1.0


@dataclass(frozen=True)
class Agreement:
    """Difference between commanded and our action, in physical units, over the steps that both have.

    ``largest`` at action ``name`` in ``unit``; ``seconds``: from the frame's arrival to the command's. Commands
    carry no stamp, so the one that came nearest in time is compared: it may answer another frame, and a policy
    that samples differs from itself. ``problem``: why nothing could be compared.
    """

    largest: float = math.nan
    name: str = ""
    unit: str = ""
    mean: float = math.nan
    seconds: float = math.nan
    problem: str = ""


class CommandedActions:
    """Keeps the newest commanded actions (std_msgs/Float32MultiArray, in physical units). Thread safe."""

    def __init__(self, node: Node, faults: Faults) -> None:
        self._node, self._faults = node, faults
        self._lock = threading.Lock()
        self._kept: deque[tuple[float, Float32MultiArray]] = deque(maxlen=KEPT)
        self._latest: Agreement | None = None
        self.received = 0
        self._subscription = node.create_subscription(
            Float32MultiArray,
            "~/input/action",
            self._take,
            QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT),
            callback_group=MutuallyExclusiveCallbackGroup(),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def close(self) -> None:
        """Destroy the subscription."""
        self._node.destroy_subscription(self._subscription)

    def compare(
        self, answer: np.ndarray, arrived: float, names: tuple[str, ...], units: tuple[str, ...]
    ) -> None:
        """Hold our ``answer`` float32 [T, A] to the command nearest in time to a frame's arrival (monotonic s).

        A command more than a second away is not compared; the status says so.
        """
        with self._lock:
            if not self._kept:
                return
            came, message = min(self._kept, key=lambda pair: abs(pair[0] - arrived))
        try:
            if abs(came - arrived) > TOLERANCE:
                agreement = Agreement(problem=f"no command within {TOLERANCE:g} s of this frame")
            else:
                agreement = compare_actions(decode_actions(message), answer, names, units, came - arrived)
        except MessageError as error:
            self._faults.bad_message("action", error)
            agreement = Agreement(problem=f"bad message on action: {error}")
        with self._lock:
            self._latest = agreement

    def status(self) -> Status:
        """Return the status ``policy agreement``: the difference, without a judgement of it."""
        with self._lock:
            latest = self._latest
        if not self.received:
            return Status(TASK, OK, "no action topic")
        values: dict[str, Any] = {"actions received": self.received}
        if latest is None:
            return Status(TASK, OK, "no frame has been compared yet", values)
        if latest.problem:
            return Status(TASK, WARN, latest.problem, values)
        values["largest difference"] = latest.largest
        values["mean difference"] = latest.mean
        values["compared with a command after (s)"] = latest.seconds
        message = (
            f"commanded and own action differ by at most {latest.largest:.3g} {latest.unit} ({latest.name}); "
            "nearest in time"
        )
        return Status(TASK, OK, message, values)

    def _take(self, message: Float32MultiArray) -> None:
        with self._lock:
            self._kept.append((time.monotonic(), message))
            self.received += 1


def compare_actions(
    commanded: np.ndarray, answer: np.ndarray, names: tuple[str, ...], units: tuple[str, ...], seconds: float
) -> Agreement:
    """Compare two chunks, float32 [T, A], over their common steps."""
    if commanded.shape[1] != answer.shape[1]:
        return Agreement(
            problem=f"commanded actions have {commanded.shape[1]} numbers a step, the policy gives {answer.shape[1]}"
        )
    steps = min(len(commanded), len(answer))
    difference = np.abs(commanded[:steps] - answer[:steps])
    place = int(difference.max(0).argmax())
    return Agreement(float(difference.max()), names[place], units[place], float(difference.mean()), seconds)
