# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pipeline of policy_node: run the policy on a frame and publish its action chunk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import Float32MultiArray, MultiArrayDimension, MultiArrayLayout
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_iss_ros.messages.actions import encode_actions, encode_trajectory
from vla_iss_ros.messages.stamps import stamp_from_nanoseconds
from vla_iss_ros.ros.agreement import TYPES
from vla_iss_ros.ros.decoding import Decoder
from vla_iss_ros.ros.diagnostics import OK, WARN, Status
from vla_iss_ros.ros.inputs import Frame
from vla_iss_ros.ros.loading import load_fitting_policy

STALE_SECONDS = 5.0


def _array(chunk: np.ndarray, names: Sequence[str], stamp: int) -> Float32MultiArray:
    return encode_actions(chunk, Float32MultiArray, MultiArrayLayout, MultiArrayDimension)


def _trajectory(chunk: np.ndarray, names: Sequence[str], stamp: int) -> JointTrajectory:
    time_stamp = stamp_from_nanoseconds(stamp, Time)
    return encode_trajectory(chunk, names, time_stamp, JointTrajectory, JointTrajectoryPoint)


# What becomes of (chunk float32 [T, A], names of its actions, the frame's stamp in ns), by the setting action_type.
ENCODERS: Mapping[str, Callable[[np.ndarray, Sequence[str], int], Any]] = {
    "float32_multi_array": _array,
    "joint_trajectory": _trajectory,
}


class ActingPipeline:
    """Answers frames with action chunks; :class:`vla_iss_ros.ros.pipelines.Pipeline` says who calls what."""

    with_labels = False
    tasks = ("actions",)

    def __init__(self, node: Any, settings: Any) -> None:
        """Load the policy; raises ValueError in one line when something is missing."""
        self.policy = load_fitting_policy(settings)
        self._node = node
        self._encode = ENCODERS[settings.action_type]
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._publisher = node.create_lifecycle_publisher(
            TYPES[settings.action_type],
            "~/output/action_chunk",
            QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._lock = threading.Lock()
        self._latest: tuple[Frame, dict[str, float]] | None = None

    def check(self, settings: Any) -> None:
        """Accept everything: no setting of this node can contradict what was loaded."""

    def period(self, settings: Any) -> float:
        """Return 0: every frame is answered that the policy can keep up with."""
        return 0.0

    def rest(self, settings: Any, busy: float) -> float:
        """Return 0: the robot waits for the next action."""
        return 0.0

    def process(self, frame: Frame, decoder: Decoder, settings: Any, check: Callable[[], None]) -> None:
        """Run the policy on ``frame`` and publish what it answers, in physical units."""
        started = time.monotonic()
        observation = decoder.observation(frame, settings)
        decoded = time.monotonic()
        with torch.inference_mode():
            base = self.policy.preprocess(observation)
            actions = self.policy.run_pixels(base, {}, self.policy.sample_noise(self._generator))
            actions.require_finite()
            chunk = actions.physical[0].to("cpu", torch.float32).numpy()
        check()
        self._publisher.publish(self._encode(chunk, self.policy.spec.action_names, frame.stamp))
        now = time.monotonic()
        seconds = {"decode": decoded - started, "policy": now - decoded, "latency": now - frame.arrived}
        with self._lock:
            self._latest = (frame, seconds)

    def statuses(self, settings: Any) -> Iterable[Status]:
        """Return the diagnostics of the actions."""
        with self._lock:
            latest = self._latest
        if latest is None:
            yield Status("actions", WARN, "no action yet")
            return
        frame, seconds = latest
        age = time.monotonic() - frame.arrived
        level, message = (OK, "acting") if age < STALE_SECONDS else (WARN, f"last action is {age:.0f} s old")
        spec = self.policy.spec
        values = {
            "age (s)": age,
            **{f"seconds {stage}": value for stage, value in seconds.items()},
            "actions": ", ".join(spec.action_names),
            "units": ", ".join(spec.action_units),
            "horizon": spec.horizon,
        }
        yield Status("actions", level, message, values)

    def reset(self, why: str) -> None:
        """Forget the last action."""
        with self._lock:
            self._latest = None

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)
