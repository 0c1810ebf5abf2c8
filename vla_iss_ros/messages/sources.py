# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where an observation's parts come from: topics, what is selected from their messages, and in which unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.joint_states import FIELDS, state_from_joint_state

JOINT_STATE = "sensor_msgs/msg/JointState"


@dataclass(frozen=True)
class ImageSource:
    """A camera's topic; ``compressed``: CompressedImage instead of Image.

    ``size``: (height, width) that every image is brought to, by nearest neighbours, as where the policy was trained;
    None keeps the camera's.
    """

    topic: str
    compressed: bool
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class StateSource:
    """A topic with a part of the state: ``selectors`` in order, such as ``position.elbow`` or ``twist.linear.x``.

    ``degrees``: every selected number is converted from radians.
    """

    topic: str
    type_name: str
    selectors: tuple[str, ...]
    degrees: bool = False

    @property
    def joints(self) -> frozenset[str]:
        """The joints whose states are needed; empty for other types than JointState."""
        if self.type_name != JOINT_STATE:
            return frozenset()
        return frozenset(_joint(selector)[1] for selector in self.selectors)

    def read(self, message: Any) -> np.ndarray:
        """Return float32 [S], the selected numbers of ``message``; raises MessageError naming what it lacks."""
        if self.type_name == JOINT_STATE:
            return self._read_joints(message)
        values = np.array([_follow(message, selector) for selector in self.selectors])
        with np.errstate(over="ignore"):
            state = (np.degrees(values) if self.degrees else values).astype(np.float32)
        for selector, value in zip(self.selectors, state, strict=True):
            if not np.isfinite(value):
                raise MessageError("not finite", f"{selector} must be finite, got {value}")
        return state

    def _read_joints(self, message: Any) -> np.ndarray:
        chosen = [_joint(selector) for selector in self.selectors]
        state = np.empty(len(chosen), np.float32)
        for name in dict.fromkeys(field for field, _ in chosen):
            places = [place for place, (field, _) in enumerate(chosen) if field == name]
            joints = [chosen[place][1] for place in places]
            state[places] = state_from_joint_state(message, joints, "deg" if self.degrees else "rad", name)
        return state


def _joint(selector: str) -> tuple[str, str]:
    """Return field and joint; a bare joint's field is position."""
    field, dot, joint = selector.partition(".")
    return (field, joint) if dot and field in FIELDS else ("position", selector)


def _follow(message: Any, selector: str) -> float:
    """Return the number at a dotted path, in which a number is a place in an array."""
    value = message
    for part in selector.split("."):
        try:
            value = value[int(part)] if part.isdigit() else getattr(value, part)
        except (AttributeError, IndexError, TypeError):
            raise MessageError("missing names", f"message has no '{part}' of '{selector}'") from None
    if isinstance(value, (bool, int, float, np.number)):
        return float(value)
    raise MessageError("wrong type", f"'{selector}' must be a number, got {type(value).__name__}")


def nearest_resize(pixels: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Return ``pixels`` [H, W(, C)] at ``size``; corners stay corners, as in rosetta's own resizing."""
    if size is None or pixels.shape[:2] == size:
        return pixels
    rows, columns = (
        np.linspace(0, have - 1, want).astype(np.intp)
        for have, want in zip(pixels.shape[:2], size, strict=True)
    )
    return np.ascontiguousarray(pixels[rows[:, None], columns])


def state_names(sources: Sequence[StateSource]) -> tuple[str, ...]:
    """Return the names of the state's numbers, in order."""
    return tuple(selector for source in sources for selector in source.selectors)
