# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which keys of an openpi observation hold the cameras, the state and the instruction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.fields import Fields

LARGEST_FILE = 2**20
SIZE = (224, 224)
ORDERS = ("hwc", "chw")
Key = tuple[str, ...]


@dataclass(frozen=True)
class CameraEntry:
    """A camera, the key of its image (one name a level), the size (h, w) it is sent in and the order of its axes."""

    name: str
    key: Key
    size: tuple[int, int] = SIZE
    order: str = "hwc"


@dataclass(frozen=True)
class StateEntry:
    """A key that takes a part of the state, and the names of its numbers."""

    key: Key
    names: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """An observation: cameras, the state's parts in order, the instruction's key (None: not sent), action names."""

    cameras: tuple[CameraEntry, ...]
    state: tuple[StateEntry, ...]
    prompt: Key | None
    actions: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the whole state."""
        return tuple(name for entry in self.state for name in entry.names)


JOINTS = tuple(f"joint_{index}" for index in range(1, 8))
ARMS = tuple(
    f"{side}_{name}"
    for side in ("left", "right")
    for name in ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
)
# As in openpi's make_droid_example, make_libero_example and make_aloha_example.
PRESETS: Mapping[str, Layout] = {
    "droid": Layout(
        cameras=(
            CameraEntry("exterior_image_1_left", ("observation/exterior_image_1_left",)),
            CameraEntry("wrist_image_left", ("observation/wrist_image_left",)),
        ),
        state=(
            StateEntry(("observation/joint_position",), JOINTS),
            StateEntry(("observation/gripper_position",), ("gripper",)),
        ),
        prompt=("prompt",),
        actions=(*(f"{joint}_velocity" for joint in JOINTS), "gripper_position"),
        units=("rad/s",) * 7 + ("1",),
    ),
    "libero": Layout(
        cameras=(
            CameraEntry("image", ("observation/image",)),
            CameraEntry("wrist_image", ("observation/wrist_image",)),
        ),
        state=(
            StateEntry(
                ("observation/state",),
                (
                    "x",
                    "y",
                    "z",
                    "axis_angle_x",
                    "axis_angle_y",
                    "axis_angle_z",
                    "finger_left",
                    "finger_right",
                ),
            ),
        ),
        prompt=("prompt",),
        actions=("dx", "dy", "dz", "droll", "dpitch", "dyaw", "gripper"),
        units=("1",) * 7,
    ),
    "aloha": Layout(
        cameras=tuple(
            CameraEntry(name, ("images", name), order="chw")
            for name in ("cam_high", "cam_low", "cam_left_wrist", "cam_right_wrist")
        ),
        state=(StateEntry(("state",), ARMS),),
        prompt=("prompt",),
        actions=ARMS,
        units=("rad",) * 6 + ("1",) + ("rad",) * 6 + ("1",),
    ),
}


def choose_layout(preset: str, file: str) -> Layout:
    """Return a preset's layout or that of a JSON file; raises PolicyError for neither, both or a faulty one."""
    if bool(preset) == bool(file):
        raise PolicyError(
            f"policy openpi needs either preset (one of {', '.join(PRESETS)}) or layout (a JSON file), such as "
            "openpi:127.0.0.1:8000?preset=droid"
        )
    if file:
        return read_layout(Path(file).expanduser())
    if preset not in PRESETS:
        raise PolicyError(f"preset must be one of {', '.join(PRESETS)}, got '{preset}'")
    return PRESETS[preset]


def read_layout(path: Path) -> Layout:
    """Read a layout's JSON file; raises PolicyError in one line for whatever is wrong in it."""
    fields = Fields(read_json(path, LARGEST_FILE), f"layout '{path}'")
    cameras = tuple(_camera(child) for child in fields.children("cameras"))
    state = () if fields.is_null("state") else tuple(_state(child) for child in fields.children("state"))
    prompt = None if fields.is_null("prompt") else fields.texts("prompt")
    actions = fields.optional_child("actions")
    names, units = ((), ()) if actions is None else _actions(actions)
    fields.finish()
    layout = Layout(cameras, state, prompt, names, units)
    keys = [*(camera.key for camera in cameras), *(entry.key for entry in state)]
    found = [camera.name for camera in cameras]
    if len(set(keys)) < len(keys) or len(set(found)) < len(found):
        raise PolicyError(f"layout '{path}' must name each camera and each key once, got {found} and {keys}")
    return layout


def read_json(path: Path, largest: int) -> Any:
    """Return what a JSON file holds; raises PolicyError where it is missing, too large or not JSON."""
    try:
        if path.stat().st_size > largest:
            raise PolicyError(f"'{path}' has {path.stat().st_size} bytes, more than {largest}")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"'{path}' cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, PolicyError):
            raise
        raise PolicyError(f"'{path}' is not JSON: {' '.join(str(error).split())[:200]}") from error


def _camera(fields: Fields) -> CameraEntry:
    height, width = fields.wholes("size", 2)
    entry = CameraEntry(
        fields.text("name"), fields.texts("key"), (height, width), fields.choice("order", ORDERS)
    )
    fields.finish()
    return entry


def _state(fields: Fields) -> StateEntry:
    entry = StateEntry(fields.texts("key"), fields.texts("names"))
    fields.finish()
    return entry


def _actions(fields: Fields) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = fields.texts("names")
    units = fields.texts("units", len(names))
    fields.finish()
    return names, units
