# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Commanded actions as they came, undecoded: which are kept, which may answer a frame, and when they are missing."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from trajectory_msgs.msg import JointTrajectory

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.stamps import nanoseconds_from_stamp
from vla_iss_ros.ros.inputs import Frame

# Enough for a frame's explanation of ten seconds beside commands at 100 Hz: the comparison comes after it.
KEPT = 1024
# Commands wait undecoded, and no policy's answer is longer: 16384 numbers are 64 joints with velocities for 128 steps.
MOST_POINTS, MOST_NUMBERS = 512, 16384
POINT_FIELDS = ("positions", "velocities", "accelerations", "effort")
# Commands are missing after so many seconds, and after so many times their usual distance.
SILENT_SECONDS, SILENT_FACTOR = 5.0, 3.0


class Command(NamedTuple):
    """A message that came at ``arrived`` monotonic seconds; ``stamp`` in ns, 0 without one."""

    arrived: float
    stamp: int
    message: Any

    @classmethod
    def of(cls, message: Any) -> Command:
        """Return the command that came now; raises MessageError for one that is too large or has a broken stamp."""
        refuse_large(message)
        stamp = nanoseconds_from_stamp(message.header.stamp) if hasattr(message, "header") else 0
        return cls(time.monotonic(), stamp, message)


class ReceivedCommands:
    """The newest commands, and those that may answer the frame under way. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.kept: deque[Command] = deque(maxlen=KEPT)
        # Of the frame under way: by its stamp (True), and nearest in time.
        self._attended: Frame | None = None
        self._held: dict[bool, Command] = {}
        # What was known of their times when they were last forgotten.
        self._forgotten_at, self._pause_before = math.nan, 0.0

    def add(self, command: Command) -> None:
        """Keep ``command``."""
        with self._lock:
            self.kept.append(command)
            self._hold(command)

    def forget(self) -> None:
        """Forget the commands, not how often they come."""
        pause = self.usual_pause()
        with self._lock:
            self._pause_before, self._forgotten_at = pause, time.monotonic()
            self.kept.clear()
            self._attended, self._held = None, {}

    def attend(self, frame: Frame) -> None:
        """Keep the commands that may answer ``frame``, however many come until it is explained."""
        with self._lock:
            self._attended, self._held = frame, {}
            for command in self.kept:
                self._hold(command)

    def _hold(self, command: Command) -> None:
        frame = self._attended
        if frame is None:
            return
        by_stamp = command.stamp in own_stamps(frame)
        held = self._held.get(by_stamp)
        nearer = held is None or abs(command.arrived - frame.arrived) < abs(held.arrived - frame.arrived)
        if by_stamp or nearer:
            self._held[by_stamp] = command

    def candidates(self) -> list[Command]:
        """Return what may be compared, in the order of arrival where it is kept still."""
        with self._lock:
            return [*self._held.values(), *self.kept]

    def silent(self) -> float:
        """Return for how many seconds commands are missing, 0 while they come as they did."""
        with self._lock:
            last = self.kept[-1].arrived if self.kept else self._forgotten_at
        age = time.monotonic() - last
        return age if age > max(SILENT_SECONDS, SILENT_FACTOR * self.usual_pause()) else 0.0

    def usual_pause(self) -> float:
        """Return the usual seconds between two commands, 0 before there were two."""
        with self._lock:
            came = [command.arrived for command in self.kept]
        return float(np.median(np.diff(came))) if len(came) > 1 else self._pause_before


def own_stamps(frame: Frame) -> frozenset[int]:
    """Return the stamps of a frame's images, ns, without those that were not set."""
    # The last image of a camera that is missing is of another time.
    return frozenset(
        stamp for camera, stamp in frame.stamps.items() if stamp and camera not in frame.stood_in
    )


def refuse_large(message: Any) -> None:
    """Raise MessageError for more points, or more numbers and characters of names, than a policy's answer has."""
    points = message.points if isinstance(message, JointTrajectory) else ()
    if len(points) > MOST_POINTS:
        raise MessageError(
            "too large", f"a trajectory must have at most {MOST_POINTS} points, got {len(points)}"
        )
    if isinstance(message, JointTrajectory):
        names = message.joint_names
        size = len(message.header.frame_id)
        size += sum(len(getattr(point, field)) for point in points for field in POINT_FIELDS)
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
