# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The policy's state from sensor_msgs/JointState."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vla_iss_ros.messages.errors import MessageError

UNITS = ("rad", "deg")
FIELDS = ("position", "velocity", "effort")


def state_from_joint_state(
    message: Any, names: Sequence[str], unit: str = "rad", field: str = "position"
) -> np.ndarray:
    """Return float32 [S], the positions of ``names`` in their order; other joints are left out.

    ``unit`` is the setting state_unit: "rad" hands the positions on as they are (whatever their unit is),
    "deg" converts EVERY entry from radians to degrees, so it does not fit a state that also holds metres.
    ``field``: velocity or effort instead of position.

    Raises MessageError for missing or repeated names, positions that do not match the names, and values that
    are not finite or do not fit float32; ValueError for an unknown unit or no names.
    """
    if unit not in UNITS:
        raise ValueError(f"state_unit must be one of {', '.join(UNITS)}, got '{unit}'")
    if not names:
        raise ValueError("state_names must hold at least one name, got none")
    have, positions = list(message.name), np.asarray(getattr(message, field), np.float64).reshape(-1)
    if len(have) != len(positions):
        raise MessageError(
            "length mismatch",
            f"joint state has {len(have)} names but {len(positions)} {_plural(field)}: {_shown(have)}",
        )
    missing = [name for name in names if name not in have]
    if missing:
        raise MessageError("missing names", f"joint state lacks {_shown(missing)}; it has {_shown(have)}")
    repeated = [name for name in names if have.count(name) > 1]
    if repeated:
        raise MessageError("repeated names", f"joint state names {_shown(repeated)} more than once")
    chosen = positions[[have.index(name) for name in names]]
    with np.errstate(over="ignore"):
        state = (np.degrees(chosen) if unit == "deg" else chosen).astype(np.float32)
    bad = [
        f"{name} = {value}"
        for name, value, kept in zip(names, chosen, state, strict=True)
        if not np.isfinite(kept)
    ]
    if bad:
        raise MessageError("not finite", f"joint state must be finite, got {', '.join(bad[:8])}")
    return state


def _plural(field: str) -> str:
    return {"velocity": "velocities"}.get(field, f"{field}s")


def _shown(names: Sequence[str]) -> str:
    """List at most eight names, each cut to a readable length."""
    listed = ", ".join(f"'{str(name)[:40]}'" for name in names[:8])
    return (listed or "none") + (", ..." if len(names) > 8 else "")
