# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics of the node itself: its lifecycle, its worker, its cameras."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vla_iss_ros.ros.diagnostics import ERROR, OK, WARN, Status
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.ros.gpu_memory import gpu_memory_values
from vla_iss_ros.ros.inputs import Inputs
from vla_iss_ros.ros.synchronisation import SILENT_SECONDS
from vla_iss_ros.ros.worker import LatestSlot, Progress

RECENT = SILENT_SECONDS
# Share of a camera's images that may be missing before it is worth a word; it clears by itself.
TOO_MANY_LOST = 0.1
REMEDY = "start the camera driver, not this node, with config/fastdds_shm.xml (docs/deployment.md) or lower its rate"


@dataclass(frozen=True)
class NodeState:
    """What the node's own diagnostics are made from. ``problem``: why it is not configured, else empty."""

    lifecycle: str
    problem: str
    cameras: Sequence[str]
    settings: Any
    policy: str
    inputs: Inputs | None
    slot: LatestSlot[Any]
    progress: Progress
    faults: Faults
    device: torch.device | None = None
    clock_jumps: int = 0
    clock_jump_seconds: float = math.nan


def node_statuses(state: NodeState) -> Iterable[Status]:
    """Return the status ``pipeline`` and one for each camera."""
    level, message = judge(state)
    yield Status("pipeline", level, message, _pipeline_values(state))
    for camera in state.cameras:
        if state.inputs is None:
            yield Status(f"camera {camera}", WARN, "not configured")
        else:
            yield camera_status(camera, state.inputs, state.faults)


def judge(state: NodeState) -> tuple[bytes, str]:
    """Return level and message of the pipeline: the worst thing first, in one line."""
    progress, active = state.progress, state.lifecycle == "active"
    if state.problem:
        return ERROR, state.problem
    if not active:
        return (WARN if state.lifecycle == "unconfigured" else OK), state.lifecycle
    silent = time.monotonic() - progress.beat_at
    if silent > state.settings.hang_timeout:  # False for NaN: not busy
        return ERROR, f"the policy has not answered for {silent:.0f} s; restart the node if it hangs"
    missing = _why_no_frame(state)
    if progress.problem and not (missing and _without_frames(state)):
        return (ERROR if progress.broken else WARN), progress.problem
    bad = state.faults.recent(RECENT)
    if bad:
        return WARN, bad
    refused = state.inputs.connections.problems() if state.inputs is not None else {}
    if refused:
        return WARN, next(iter(refused.values()))
    if missing:
        return WARN, missing
    if not progress.done:
        return OK, "waiting for the first frame"
    return OK, f"{progress.done} frames done"


def camera_status(camera: str, inputs: Inputs, faults: Faults) -> Status:
    """Return the status of one camera's topics."""
    statistics, labels = inputs.cameras[camera], inputs.labels
    age = time.monotonic() - statistics.arrived
    rate = 1 / statistics.period if statistics.period > 0 else math.nan
    values: dict[str, Any] = {
        "images received": statistics.received,
        "age (s)": age,
        "rate (Hz)": rate,
        "images missing by their stamps": statistics.missing,
        "images missing lately (share)": statistics.missing_lately(),
        "images lost by the middleware": statistics.lost,
        **statistics.description,
    }
    bad = {key: count for key, count in faults.counts().items() if key.startswith(f"camera {camera}: ")}
    values.update({f"bad {key}": count for key, count in bad.items()})
    regions = ""
    if labels is not None:
        values["label images received"] = labels.received[camera]
        unmatched = ", regions of other stamps" if labels.received[camera] else ", no regions"
        regions = ", with regions" if labels.matched[camera] else unmatched
    if not statistics.received:
        return Status(f"camera {camera}", WARN, "no image yet", values)
    if age > RECENT:
        return Status(f"camera {camera}", WARN, f"no image for {age:.0f} s", values)
    lost, missing = statistics.lost_lately(), statistics.missing_lately()
    if lost > TOO_MANY_LOST:
        return Status(
            f"camera {camera}", WARN, f"{100 * lost:.0f} % of the images are lost; {REMEDY}", values
        )
    # No reason to worry by itself: a process that is busy keeps the newest image alone.
    busy = (
        f", {100 * missing:.0f} % came while this process was busy or not at all"
        if missing > TOO_MANY_LOST
        else ""
    )
    return Status(f"camera {camera}", OK, f"{rate:.1f} Hz{regions}{busy}", values)


def _why_no_frame(state: NodeState) -> str:
    """Return which cameras are silent, or that the images of all never make a frame, else an empty text."""
    if state.inputs is None:
        return ""
    now, synchroniser = time.monotonic(), state.inputs.synchroniser
    silent = [camera for camera, seen in state.inputs.cameras.items() if not now - seen.arrived < RECENT]
    if silent:
        return f"no image from {', '.join(silent)}"
    if not synchroniser.waited > RECENT:  # False for NaN: no image since the node became active
        return ""
    closest, slop = synchroniser.closest, state.settings.sync_slop
    if not closest.seconds > slop:
        return f"images of {', '.join(state.cameras)} come, but none of them make a complete frame"
    first, second = closest.topics
    return (
        f"images of {first} and {second} are {_milliseconds(closest.seconds)} apart, "
        f"sync_slop is {_milliseconds(slop)}: no frame is complete"
    )


def _without_frames(state: NodeState) -> bool:
    """Return whether frames have stopped, so that a frame's problem is of the past."""
    return state.inputs is not None and not time.monotonic() - state.inputs.synchroniser.completed_at < RECENT


def _milliseconds(seconds: float) -> str:
    # Finely enough that what lies just beyond the slop does not read like it.
    return f"{1000 * seconds:.1f}".removesuffix(".0") + " ms"


def _pipeline_values(state: NodeState) -> dict[str, Any]:
    progress, now = state.progress, time.monotonic()
    values: dict[str, Any] = {
        "state": state.lifecycle,
        "policy": state.policy,
        "frames done": progress.done,
        "frames received": state.slot.received,
        "frames dropped": state.slot.dropped,
        "frames not usable": progress.skipped,
        "errors": progress.failed,
        # In full also where the message is about something that is newer.
        "problem of the last frame": progress.problem or "none",
        "age of the last frame done (s)": now - progress.done_at,
        "busy with a frame for (s)": now - progress.busy_since,
    }
    if state.inputs is not None:
        fallback = state.settings.instruction if state.settings else ""
        values["instruction"] = state.inputs.instruction(fallback)[:200]
        synchroniser = state.inputs.synchroniser
        values["age of the last complete frame (s)"] = now - synchroniser.completed_at
        values["smallest distance of the cameras' stamps (s)"] = synchroniser.closest.seconds
        values["stamps stepped back"] = synchroniser.stepped_back
        values["frames with an image that stood in"] = state.inputs.stood_in
        for topic, line in state.inputs.connections.problems().items():
            values[f"connection {topic}"] = line
    values["clock jumps back"] = state.clock_jumps
    values["last clock jump back (s)"] = state.clock_jump_seconds
    values["device"] = state.device or "none"
    if state.device is not None:
        values.update(gpu_memory_values(state.device))
    bad = state.faults.counts()
    values["bad messages"] = sum(bad.values())
    values.update({f"bad {key}": count for key, count in bad.items()})
    return values
