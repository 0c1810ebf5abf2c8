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
from vla_iss_ros.messages.stamps import nanoseconds_from_stamp
from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.ros.action_difference import Difference, OwnActions, differ, spread_of
from vla_iss_ros.ros.alarms import Alarm
from vla_iss_ros.ros.connections import Connections
from vla_iss_ros.ros.diagnostics import OK, WARN, Status
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.ros.inputs import Frame
from vla_iss_ros.ros.staleness import stale_after

TASK = "policy agreement"
TYPES = {"float32_multi_array": Float32MultiArray, "joint_trajectory": JointTrajectory}
# Enough for a frame's explanation of ten seconds beside commands at 100 Hz: the comparison comes after it.
KEPT = 1024
# Commands wait undecoded, and no policy's answer is longer: 16384 numbers are 64 joints with velocities for 128 steps.
MOST_POINTS, MOST_NUMBERS = 512, 16384
POINT_FIELDS = ("positions", "velocities", "accelerations", "effort")
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
        self._kept: deque[tuple[float, int, Any]] = deque(maxlen=KEPT)
        self._answers: deque[Answer] = deque(maxlen=ANSWERS_KEPT)
        self._own, self._alarm = OwnActions(), Alarm()
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
        with self._lock:
            self._kept.clear()
            self._latest, self._due = None, math.inf
        self._since, self._missed = math.nan, 0
        self._answers.clear()
        self._alarm.reset()

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
        # The last image of a camera that is missing is of another time.
        stamps = frozenset(
            stamp for camera, stamp in frame.stamps.items() if stamp and camera not in frame.stood_in
        )
        self._answers.append(Answer(stamps, frame.arrived, chunk))
        self._own.add(chunk)
        answer, found, by_stamp = self._matched()
        if found is None:
            return
        if math.isnan(self._since):
            self._since = time.monotonic()
        agreement: Agreement | None
        if by_stamp or abs(found[0] - answer.arrived) <= TOLERANCE:
            agreement = self._agreement(answer, found, by_stamp, observation, settings, check, pace)
            self._since, self._missed = time.monotonic(), 0
        else:
            agreement = self._without_command(settings)
        now = time.monotonic()
        with self._lock:
            self._latest = agreement or self._latest
            self._due = now + stale_after(now - frame.arrived, now - frame.arrived, settings)

    def _agreement(
        self,
        answer: Answer,
        command: tuple[float, int, Any],
        by_stamp: bool,
        observation: Observation,
        settings: Any,
        check: Callable[[], None],
        pace: Pace,
    ) -> Agreement:
        came, _, message = command
        try:
            commanded = self._decode(message)
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
        return Agreement(time.monotonic(), difference, by_stamp, came - answer.arrived, level=level)

    def _without_command(self, settings: Any) -> Agreement | None:
        """Return that frames go without a command, or None while they may lie between two of them.

        Of the frames between commands that come every few seconds, this share has one within the tolerance at best.
        """
        self._missed += 1
        usual = self._usual_pause()
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

    def _matched(self) -> tuple[Answer, Any, bool]:
        """Return (our answer, (arrival, stamp, message) of a command or None, whether stamps matched them)."""
        with self._lock:
            kept = list(self._kept)
        for answer in reversed(self._answers):
            for command in reversed(kept):
                if command[1] in answer.stamps:
                    return answer, command, True
        newest = self._answers[-1]
        found = min(kept, key=lambda command: abs(command[0] - newest.arrived), default=None)
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
        silent = self._silent()
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

    def _silent(self) -> float:
        """Return for how many seconds commands are missing, 0 while they come as they did."""
        with self._lock:
            if not self._kept:
                return 0.0
            age = time.monotonic() - self._kept[-1][0]
        return age if age > max(SILENT_SECONDS, SILENT_FACTOR * self._usual_pause()) else 0.0

    def _usual_pause(self) -> float:
        """Return the usual seconds between two commands, 0 before there were two."""
        with self._lock:
            came = [arrived for arrived, _, _ in self._kept]
        return float(np.median(np.diff(came))) if len(came) > 1 else 0.0

    def _take(self, message: Any) -> None:
        try:
            _refuse_large(message)
            stamp = nanoseconds_from_stamp(message.header.stamp) if hasattr(message, "header") else 0
        except MessageError as error:
            self._refused = f"bad message on action: {error}"
            self._faults.bad_message("action", error)
            return
        with self._lock:
            self._kept.append((time.monotonic(), stamp, message))
            self.received += 1
            self._refused = ""


def _refuse_large(message: Any) -> None:
    """Raise MessageError for more points, or more numbers and characters of names, than a policy's answer has."""
    points = message.points if isinstance(message, JointTrajectory) else ()
    if len(points) > MOST_POINTS:
        raise MessageError(
            "too large", f"a trajectory must have at most {MOST_POINTS} points, got {len(points)}"
        )
    if isinstance(message, JointTrajectory):
        names = message.joint_names
        size = sum(len(getattr(point, field)) for point in points for field in POINT_FIELDS)
    else:
        names = [dimension.label for dimension in message.layout.dim]
        size = len(message.data)
    # A name that is empty takes room as well.
    size += sum(1 + len(name) for name in names)
    if size > MOST_NUMBERS:
        raise MessageError(
            "too large",
            f"an action must have at most {MOST_NUMBERS} numbers and characters of names, got {size}; send the chunk "
            "that the policy answered",
        )
