"""The action that the robot's policy really commanded, beside what our copy of the policy answers.

Wrong preprocessing, another checkpoint or joints in another order show here before any map is believed.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import Float32MultiArray
from trajectory_msgs.msg import JointTrajectory

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.messages.actions import decode_actions, decode_trajectory
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.stamps import nanoseconds_from_stamp
from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.ros.action_difference import Difference, OwnActions, differ, spread_of
from vla_iss_ros.ros.alarms import Alarm
from vla_iss_ros.ros.diagnostics import OK, WARN, Status
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.ros.inputs import Frame

TASK = "policy agreement"
TYPES = {"float32_multi_array": Float32MultiArray, "joint_trajectory": JointTrajectory}
# Enough for a frame's explanation of ten seconds beside commands at 100 Hz: the comparison comes after it.
KEPT = 1024
ANSWERS_KEPT = 16
# A command further than this from the frame, in seconds, answers another picture.
TOLERANCE = 1.0
# Commands are missing after so many seconds, and after so many times their usual distance.
SILENT_SECONDS, SILENT_FACTOR = 5.0, 3.0
# Answers to one observation under different noise, and the comparisons after which they are drawn anew.
DRAWS, DRAWN_EVERY = 8, 32
LIKELY = "compare the cameras, their order and preprocessing, the state's units and the checkpoint"


@dataclass(frozen=True)
class Answer:
    """Our own answer to a frame: ``chunk`` float32 [T, A]; ``arrived``: the frame's, monotonic seconds."""

    stamp: int
    arrived: float
    chunk: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """A comparison. ``by_stamp``: the command carries the frame's stamp; else it is the one nearest in time.

    ``seconds``: from the frame's arrival to the command's. ``problem``: why nothing could be compared.
    """

    difference: Difference | None = None
    by_stamp: bool = False
    seconds: float = math.nan
    problem: str = ""
    level: bytes = OK


class CommandedActions:
    """Keeps the newest commanded actions (in physical units) and compares them with our own. Thread safe."""

    def __init__(self, node: Node, faults: Faults, policy: Policy, settings: Any) -> None:
        self._node, self._faults, self._policy = node, faults, policy
        self._lock = threading.Lock()
        self._kept: deque[tuple[float, int, Any]] = deque(maxlen=KEPT)
        self._answers: deque[Answer] = deque(maxlen=ANSWERS_KEPT)
        self._own, self._alarm = OwnActions(), Alarm()
        self._noise: np.ndarray | None = None
        self._compared = 0
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._latest: Agreement | None = None
        self.received = 0
        self._subscription = node.create_subscription(
            TYPES[settings.action_type],
            "~/input/action",
            self._take,
            QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT),
            callback_group=MutuallyExclusiveCallbackGroup(),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def close(self) -> None:
        """Destroy the subscription."""
        self._node.destroy_subscription(self._subscription)

    def reset(self) -> None:
        """Forget commands and comparisons, of which the clock says that they are of another time."""
        with self._lock:
            self._kept.clear()
            self._latest = None
        self._answers.clear()
        self._alarm.reset()

    def compare(
        self,
        chunk: np.ndarray,
        frame: Frame,
        observation: Observation,
        settings: Any,
        check: Callable[[], None],
    ) -> None:
        """Hold our answer to a frame, ``chunk`` float32 [T, A], to a command.

        That is the command of the frame's stamp, or the newest that has the stamp of one of the last frames; where
        commands carry no such stamps, the one nearest in time to the frame's arrival. One that is more than a second
        away is not compared; the status says so.
        """
        if not self.received:
            return
        self._answers.append(Answer(frame.stamp, frame.arrived, chunk))
        self._own.add(chunk)
        answer, found, by_stamp = self._matched(round(settings.sync_slop * 1e9))
        if found is None:
            return
        came, _, message = found
        try:
            if not by_stamp and abs(came - answer.arrived) > TOLERANCE:
                agreement = Agreement(problem=f"no command within {TOLERANCE:g} s of this frame")
            else:
                commanded = self._decode(message)
                noise = self._spread(observation, check)
                expected = self._own.expected(noise, settings.agreement_tolerance, by_stamp)
                spec = self._policy.spec
                difference = differ(commanded, answer.chunk, expected, spec.action_names, spec.action_units)
                level = self._judge(difference, settings)
                agreement = Agreement(difference, by_stamp, came - answer.arrived, level=level)
        except MessageError as error:
            self._faults.bad_message("action", error)
            agreement = Agreement(problem=f"bad message on action: {error}", level=WARN)
        except ValueError as error:
            agreement = Agreement(problem=str(error), level=WARN)
        with self._lock:
            self._latest = agreement

    def _judge(self, difference: Difference, settings: Any) -> bytes:
        return self._alarm.update(
            difference.ratio,
            settings.agreement_warn_ratio,
            settings.agreement_error_ratio,
            settings.alarm_hysteresis,
            settings.alarm_frames,
        )

    def _matched(self, slop: int) -> tuple[Answer, Any, bool]:
        """Return (our answer, (arrival, stamp, message) of a command or None, whether stamps matched them)."""
        with self._lock:
            kept = list(self._kept)
        stamped = [command for command in kept if command[1]]
        for answer in reversed(self._answers):
            near = [command for command in stamped if abs(command[1] - answer.stamp) <= slop]
            if answer.stamp and near:
                return answer, min(near, key=lambda command: abs(command[1] - answer.stamp)), True
        newest = self._answers[-1]
        found = min(kept, key=lambda command: abs(command[0] - newest.arrived), default=None)
        return newest, found, False

    def _decode(self, message: Any) -> np.ndarray:
        if isinstance(message, JointTrajectory):
            return decode_trajectory(message, self._policy.spec.action_names)
        return decode_actions(message)

    def _spread(self, observation: Observation, check: Callable[[], None]) -> np.ndarray:
        """Return how far the policy's answers to one observation lie apart under its own noise, [A]."""
        spec = self._policy.spec
        if spec.noise_shape is None and spec.shares_noise:
            return np.zeros(len(spec.action_names), np.float32)
        if self._noise is None or self._compared % DRAWN_EVERY == 0:
            answers = []
            with torch.inference_mode():
                base = self._policy.preprocess(observation)
                for _ in range(DRAWS):
                    check()
                    noise = self._policy.sample_noise(self._generator)
                    answers.append(self._policy.run_pixels(base, {}, noise).physical[0].float().cpu().numpy())
            self._noise = spread_of(np.stack(answers))
        self._compared += 1
        return self._noise

    def status(self) -> Status:
        """Return the status ``policy agreement``: the difference, judged by what may be expected."""
        with self._lock:
            latest = self._latest
        if not self.received:
            return Status(TASK, OK, "no action topic")
        values: dict[str, Any] = {"actions received": self.received}
        silent = self._silent()
        if silent:
            values["age of the last command (s)"] = silent
            return Status(TASK, WARN, f"no commanded action for {silent:.0f} s", values)
        if latest is None:
            return Status(TASK, OK, "no frame has been compared yet", values)
        if latest.difference is None:
            return Status(TASK, WARN, latest.problem, values)
        found = latest.difference
        how = "by stamp" if latest.by_stamp else "nearest in time"
        values["largest difference"] = found.largest
        values["expected difference"] = found.expected
        values["ratio to the expected"] = found.ratio
        values["mean difference"] = found.mean
        values["action"], values["unit"] = found.name, found.unit
        values["matched"] = how
        values["compared with a command after (s)"] = latest.seconds
        message = (
            f"commanded and own action differ by at most {found.largest:.3g} {found.unit} ({found.name}), "
            f"{found.ratio:.1f} times what is expected; {how}"
        )
        return Status(TASK, latest.level, message if latest.level == OK else f"{message}; {LIKELY}", values)

    def _silent(self) -> float:
        """Return for how many seconds commands are missing, 0 while they come as they did."""
        with self._lock:
            came = [arrived for arrived, _, _ in self._kept]
        if not came:
            return 0.0
        age = time.monotonic() - came[-1]
        usual = float(np.median(np.diff(came))) if len(came) > 1 else 0.0
        return age if age > max(SILENT_SECONDS, SILENT_FACTOR * usual) else 0.0

    def _take(self, message: Any) -> None:
        try:
            stamp = nanoseconds_from_stamp(message.header.stamp) if hasattr(message, "header") else 0
        except MessageError as error:
            self._faults.bad_message("action", error)
            return
        with self._lock:
            self._kept.append((time.monotonic(), stamp, message))
            self.received += 1
