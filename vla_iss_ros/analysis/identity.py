# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What makes two runs the same run: policy, settings, recordings. Decides what may be resumed."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from vla_iss_ros.analysis.segment_work import Job
from vla_iss_ros.policies.loading import local_path, shipped_samples
from vla_iss_ros.settings import BY_NAME, METHOD

# Settings that change no number: where and how fast it is computed.
SPEED = ("batch_size", "max_batch_ms", "batch_gap_ms")
INPUT_SETTINGS = (
    "policy",
    "cameras",
    "instruction",
    "state_names",
    "state_unit",
    "sync_slop",
    "missing_camera",
    "missing_camera_after",
    "actor_labels",
    "support_labels",
)
# Settings that the first runs did not have; what those did is the default.
ADDED = ("missing_camera", "missing_camera_after")
LIBRARIES = ("vla_iss_ros", "torch", "numpy", "opencv-python", "rosbags")
_CHUNK = 1 << 20


def identity_of(jobs: Sequence[Job], settings: Any, frames_a_segment: int) -> dict[str, Any]:
    """Return what must be equal for pieces of an earlier start to be used, as JSON."""
    names = [*INPUT_SETTINGS, *(setting.name for setting in METHOD if setting.name not in SPEED)]
    labels = jobs[0].labels
    return {
        "policy hash": policy_hash(settings.policy),
        "donors hash": donors_hash(settings.donors),
        "token means hash": file_hash(getattr(settings, "token_means", "")),
        **{name: getattr(settings, name) for name in names},
        "stride": jobs[0].stride,
        "frames a segment": frames_a_segment,
        "regions": None if labels is None else labels.describe(),
        "sources": {job.source.name: job.source.describe() for job in jobs},
    }


def with_earlier_policy(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity ``now`` with the policy hash of the earlier one where the policy is not there any more."""
    return {**now, "policy hash": now["policy hash"] or before["policy hash"]}


def run_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return why the pieces of an earlier start cannot be used: what differs between its run.json and this one's.

    Among it versions of what computes the numbers, where the earlier one has them; Python's own changes none.
    """
    added = {name: BY_NAME[name].default for name in ADDED}
    earlier = before.get("versions", {})
    named = [name for name in LIBRARIES if name in earlier]
    found = differences({**added, **before["identity"]}, now["identity"])
    return found + differences(
        {name: earlier[name] for name in named}, {name: now["versions"][name] for name in named}
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two identities, one readable item each; empty for the same run."""
    found = []
    for name in [*before, *(name for name in now if name not in before)]:
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += [f"{name}: {item}" for item in differences(old, new)]
        else:
            found.append(f"{name} was {_shown(old)} and is now {_shown(new)}")
    return found


def versions() -> dict[str, str]:
    """Return the versions of what computed the numbers."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def policy_hash(policy: str) -> str:
    """Return the SHA-256 of a policy's file, or of all files of its directory; empty where it names no file.

    A policy behind a network address has none: nothing here can tell whether it is the same.
    """
    kind, _, path = policy.partition(":")
    if kind == "builtin" and not path:
        return content_hash(shipped_samples() / "policies" / "clean.safetensors")
    target = local_path(policy)
    return content_hash(target) if target is not None and target.exists() else ""


def donors_hash(donors: str) -> str:
    """Return the SHA-256 of a donor set (empty: the samples'); empty where there is none."""
    directory = Path(donors).expanduser() if donors else shipped_samples() / "donors"
    return content_hash(directory) if directory.exists() else ""


def file_hash(name: str) -> str:
    """Return the SHA-256 of a file that a setting names; empty where it names none."""
    path = Path(name).expanduser()
    return content_hash(path) if name and path.exists() else ""


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files in a directory."""
    digest = hashlib.sha256()
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(f"{file.relative_to(path)}\n".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def as_values(settings: Any) -> dict[str, Any]:
    """Return checked settings as values by name."""
    return dataclasses.asdict(settings)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
