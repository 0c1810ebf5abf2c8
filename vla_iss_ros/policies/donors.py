# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read a directory of donor frames."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import shipped_samples
from vla_iss_ros.policies.protocol import Policy

MANIFEST = "donors.json"


def load_donors(directory: Path, cameras: Sequence[str], state_size: int | None) -> list[Observation]:
    """Return the donor moments of a directory made by ``gather_donors``, in the manifest's order.

    The n-th frame of every camera makes one moment. ``state_size`` zeros stand for the state, which donors do not
    have and nothing reads. Raises PolicyError when the directory does not fit the cameras or cannot be read.
    """
    frames = _frames_by_camera(directory)
    missing = [camera for camera in cameras if camera not in frames]
    if missing:
        raise PolicyError(f"donors in '{directory}' lack camera '{missing[0]}'; they have {sorted(frames)}")
    moments = min(len(frames[camera]) for camera in cameras)
    donors = []
    for index in range(moments):
        entries = {camera: frames[camera][index] for camera in cameras}
        images = {camera: _read(directory, entry) for camera, entry in entries.items()}
        instruction = str(entries[cameras[0]].get("instruction", "")).strip() or "unknown"
        state = None if state_size is None else np.zeros(state_size, np.float32)
        donors.append(Observation(images, instruction, state))
    return donors


def donors_for(policy: Policy, directory: str, required: bool) -> list[Observation]:
    """Return the donors in ``directory`` (empty: the samples') that fit ``policy``.

    Without ``required`` an empty ``directory`` whose default does not fit gives no donors instead of a PolicyError.
    """
    try:
        chosen = Path(directory).expanduser() if directory else shipped_samples() / "donors"
        return load_donors(chosen, policy.spec.camera_names, len(policy.spec.state_names) or None)
    except PolicyError:
        if required or directory:
            raise
        return []


def _frames_by_camera(directory: Path) -> dict[str, list[dict[str, Any]]]:
    path = directory / MANIFEST
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
        by_camera = defaultdict(list)
        for frame in frames:
            by_camera[str(frame["camera"])].append(frame)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PolicyError(
            f"cannot read donors from '{path}': {error}; make them with gather_donors"
        ) from error
    if not by_camera:
        raise PolicyError(f"'{path}' names no donor frames; make them with gather_donors")
    return dict(by_camera)


def _read(directory: Path, entry: dict[str, Any]) -> np.ndarray:
    file = (directory / str(entry.get("file", ""))).resolve()
    if directory.resolve() not in file.parents:
        raise PolicyError(f"donor frame '{entry.get('file')}' lies outside of '{directory}'")
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise PolicyError(f"donor frame '{file}' is missing or not an image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
