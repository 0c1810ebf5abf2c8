# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
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
from std_msgs.msg import Float32MultiArray
from trajectory_msgs.msg import JointTrajectory

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.pacing import Pace
from vla_iss_ros.messages.actions import decode_actions, decode_trajectory
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.ros.action_difference import Difference, OwnActions, differ, spread_of
from vla_iss_ros.ros.alarms import Alarm
from vla_iss_ros.ros.commands import SILENT_FACTOR, SILENT_SECONDS, Command, ReceivedCommands, own_stamps
from vla_iss_ros.ros.connections import Connections
from vla_iss_ros.ros.diagnostics import OK, WARN, Status
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.ros.inputs import Frame
from vla_iss_ros.ros.staleness import stale_after

TASK = "policy agreement"
TYPES = {"float32_multi_array": Float32MultiArray, "joint_trajectory": JointTrajectory}
ANSWERS_KEPT = 16
# A command further than this from the frame, in seconds, answers another picture.
TOLERANCE = 1.0
# Answers to one observation under different noise, and the comparisons after which they are drawn anew.
DRAWS, DRAWN_EVERY = 8, 32
LIKELY = "compare the cameras, their order and preprocessing, the state's units and the checkpoint"


@dataclass(frozen=True)
class Answer:
    """Our own answer to a frame: ``chunk`` float32 [T, A].

    ``stamps``: of the frame's images, ns, without those that were not set; ``arrived``: the frame's, monotonic seconds.
    """

    stamps: frozenset[int]
    arrived: float
    chunk: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """A comparison, made ``at`` monotonic seconds.

    ``by_stamp``: the command carries a stamp of the frame; else it is the one nearest in time. ``seconds``: from the
    frame's arrival to the command's. ``problem``: why nothing could be compared.
    """

    at: float
    difference: Difference | None = None
    by_stamp: bool = False
    seconds: float = math.nan
    problem: str = ""
    level: bytes = OK


class CommandedActions:
    """Keeps the newest commanded actions (in physical units) and compares them with our own. Thread safe."""

    def __init__(self, node: Node, faults: Faults, policy: Policy, settings: Any) -> None:
        self._faults, self._policy = faults, policy
        self._lock = threading.Lock()
        self._commands = ReceivedCommands()
        self._answers: deque[Answer] = deque(maxlen=ANSWERS_KEPT)
        self._own, self._alarm = OwnActions(), Alarm()
        # The last answer and command that were compared.
        self._judged: tuple[Answer, Command] | None = None
        self._noise: np.ndarray | None = None
        self._compared = 0
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._latest: Agreement | None = None
        # When the next frame is late; when one was compared, or the first one was not; and frames without since.
        self._due, self._since, self._missed = math.inf, math.nan, 0
        # The last message where it was refused, and since when a publisher has sent nothing.
        self.received, self._refused, self._unheard_since = 0, "", math.nan
        self._connections = Connections(node, faults, MutuallyExclusiveCallbackGroup())
        self._connections.listen(
            TYPES[settings.action_type],
            "~/input/action",
            self._take,
            QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT),
        )

    def close(self) -> None:
        """Destroy the subscription."""
        self._connections.close()

    def reset(self) -> None:
        """Forget commands and comparisons, of which the clock says that they are of another time."""
        self._commands.forget()
        with self._lock:
            self._latest, self._due = None, math.inf
        self._since, self._missed, self._judged = math.nan, 0, None
        self._answers.clear()
        self._alarm.reset()

    def attend(self, frame: Frame) -> None:
        """Tell that ``frame`` will be compared, however long it takes until then."""
        self._commands.attend(frame)

    def compare(
        self,
        chunk: np.ndarray,
        frame: Frame,
        observation: Observation,
        settings: Any,
        check: Callable[[], None],
        pace: Pace,
    ) -> None:
        """Hold our answer to a frame, ``chunk`` float32 [T, A], to a command.

        That is the command with a stamp of the frame, or the newest with one of the last frames; where commands carry
        no such stamps, the one nearest in time to the frame's arrival. One that is more than a second away is not
        compared, and the last comparison stays; the status says so once that is not between two commands.
        ``pace``: that of the runs before, kept by those that tell the policy's own noise.
        """
        if not self.received:
            return
        self._answers.append(Answer(own_stamps(frame), frame.arrived, chunk))
        self._own.add(chunk)
        answer, found, by_stamp = self._matched()
        if found is None:
            return
        if math.isnan(self._since):
            self._since = time.monotonic()
        agreement: Agreement | None
        judged = self._judged
        if judged is not None and judged[0] is answer and judged[1] is found:
            # This frame has no command of its own yet: one that has been judged counts once.
            agreement = None
        elif by_stamp or abs(found.arrived - answer.arrived) <= TOLERANCE:
            agreement = self._agreement(answer, found, by_stamp, observation, settings, check, pace)
            self._since, self._missed, self._judged = time.monotonic(), 0, (answer, found)
        else:
            agreement = self._without_command(settings)
        now = time.monotonic()
        with self._lock:
            self._latest = agreement or self._latest
            self._due = now + stale_after(now - frame.arrived, now - frame.arrived, settings)

    def _agreement(
        self,
        answer: Answer,
        command: Command,
        by_stamp: bool,
        observation: Observation,
        settings: Any,
        check: Callable[[], None],
        pace: Pace,
    ) -> Agreement:
        try:
            commanded = self._decode(command.message)
            noise = self._spread(observation, check, pace)
            expected = self._own.expected(noise, settings.agreement_tolerance, by_stamp)
            spec = self._policy.spec
            difference = differ(commanded, answer.chunk, expected, spec.action_names, spec.action_units)
        except MessageError as error:
            self._faults.bad_message("action", error)
            return Agreement(time.monotonic(), problem=f"bad message on action: {error}", level=WARN)
        except ValueError as error:
            return Agreement(time.monotonic(), problem=str(error), level=WARN)
        level = self._judge(difference, settings)
        return Agreement(
            time.monotonic(), difference, by_stamp, command.arrived - answer.arrived, level=level
        )

    def _without_command(self, settings: Any) -> Agreement | None:
        """Return that frames go without a command, or None while they may lie between two of them.

        Of the frames between commands that come every few seconds, this share has one within the tolerance at best.
        """
        self._missed += 1
        usual = self._commands.usual_pause()
        share = min(1.0, 2 * TOLERANCE / usual) if usual else 1.0
        now = time.monotonic()
        patient = now - self._since < max(SILENT_SECONDS, SILENT_FACTOR * usual)
        if patient or self._missed * share < settings.alarm_frames:
            return None
        self._alarm.reset()
        problem = f"no command within {TOLERANCE:g} s of any of the last {self._missed} frames"
        return Agreement(now, problem=problem, level=WARN)

    def _judge(self, difference: Difference, settings: Any) -> bytes:
        return self._alarm.update(
            difference.ratio,
            settings.agreement_warn_ratio,
            settings.agreement_error_ratio,
            settings.alarm_hysteresis,
            settings.alarm_frames,
        )

    def _matched(self) -> tuple[Answer, Command | None, bool]:
        """Return (our answer, the command that is held to it, whether stamps matched them)."""
        candidates = self._commands.candidates()
        for answer in reversed(self._answers):
            for command in reversed(candidates):
                if command.stamp in answer.stamps:
                    return answer, command, True
        newest = self._answers[-1]
        found = min(candidates, key=lambda command: abs(command.arrived - newest.arrived), default=None)
        return newest, found, False

    def _decode(self, message: Any) -> np.ndarray:
        if isinstance(message, JointTrajectory):
            return decode_trajectory(message, self._policy.spec.action_names)
        return decode_actions(message)

    def _spread(self, observation: Observation, check: Callable[[], None], pace: Pace) -> np.ndarray:
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
                    with pace.turn():
                        answer = self._policy.run_pixels(base, {}, noise).physical[0]
                        answers.append(answer.float().cpu().numpy())
            self._noise = spread_of(np.stack(answers))
        self._compared += 1
        return self._noise

    def status(self) -> Status:
        """Return the status ``policy agreement``: the difference, judged by what may be expected."""
        with self._lock:
            latest, due = self._latest, self._due
        refused = self._connections.problems()
        values: dict[str, Any] = {"actions received": self.received}
        values.update({f"connection {topic}": line for topic, line in refused.items()})
        if not self.received:
            return Status(TASK, *self._unheard(refused), values)
        silent = self._commands.silent()
        if silent:
            values["age of the last command (s)"] = silent
            told = [f"no commanded action for {silent:.0f} s", *refused.values(), self._refused]
            return Status(TASK, WARN, "; ".join(filter(None, told)), values)
        if latest is None:
            return Status(TASK, OK, "no frame has been compared yet", values)
        now = time.monotonic()
        values["age of the comparison (s)"] = now - latest.at
        level, message = latest.level, latest.problem
        if latest.difference is not None:
            how = "by stamp" if latest.by_stamp else "nearest in time"
            values.update(latest.difference.figures())
            values.update({"matched": how, "compared with a command after (s)": latest.seconds})
            message = f"{latest.difference.in_words()}; {how}" + ("" if level == OK else f"; {LIKELY}")
        if now > due:
            # What it was about is over, so an old error is no more than a warning.
            level, message = WARN, f"stale, {now - latest.at:.0f} s old: {message}"
        return Status(TASK, level, message, values)

    def _unheard(self, refused: dict[str, str]) -> tuple[bytes, str]:
        """Return level and message while no command has come yet; ``refused``: publishers that do not fit."""
        offered = self._connections.offered()
        if not offered:
            self._refused, self._unheard_since = "", math.nan
            return OK, "no action topic"
        if refused or self._refused:
            return WARN, next(iter(refused.values()), self._refused)
        now = time.monotonic()
        if math.isnan(self._unheard_since):
            self._unheard_since = now
        waited = now - self._unheard_since
        if waited < SILENT_SECONDS:
            return OK, "no commanded action yet"
        topic, types = next(iter(offered.items()))
        return (
            WARN,
            f"no commanded action for {waited:.0f} s, though {topic} has a publisher of {', '.join(types)}",
        )

    def _take(self, message: Any) -> None:
        try:
            self._commands.add(Command.of(message))
        except MessageError as error:
            self._refused = f"bad message on action: {error}"
            self._faults.bad_message("action", error)
            return
        self.received += 1
        self._refused = ""
