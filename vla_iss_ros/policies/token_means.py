# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Files of mean embeddings: one safetensors file beside a policy."""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, isfinite

from vla_iss_ros.iss.token_means import TokenMeans
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import local_path, shipped_samples
from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.policies.safetensors_file import read_safetensors

FORMAT = "vla_iss_ros.token_means/1"
LARGEST_FILE = 64 * 2**20
CAMERA_PREFIX, INSTRUCTION_KEY = "camera/", "instruction"
FEW_FRAMES = 8


def beside(policy_name: str) -> Path | None:
    """Return where a policy's means lie: in its directory, or beside its file; None where it has no path."""
    kind, _, path = policy_name.partition(":")
    if kind == "builtin" and not path:
        return shipped_samples() / "policies" / "clean.means.safetensors"
    place = local_path(policy_name)
    if place is None:
        return None
    return place / "token_means.safetensors" if place.is_dir() else place.with_suffix(".means.safetensors")


def save_means(means: TokenMeans, policy: Policy, path: Path) -> None:
    """Write means to ``path``: to a name of its own first, so that no half file is ever found there."""
    tensors = {f"{CAMERA_PREFIX}{name}": mean.contiguous() for name, mean in means.cameras.items()}
    if means.instruction is not None:
        tensors[INSTRUCTION_KEY] = means.instruction.contiguous()
    metadata = {
        "format": FORMAT,
        "policy": policy.spec.name,
        "weights_hash": policy.spec.weights_hash,
        "frames": str(means.frames),
        "counts": json.dumps(dict(means.counts)),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(tensors, partial, metadata)
        partial.chmod(0o644)  # safetensors writes files for their owner alone
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_means(path: Path, policy: Policy) -> TokenMeans:
    """Read means made by ``compute_means``; raises PolicyError when the file is not usable or of another policy."""
    if not path.is_file():
        raise PolicyError(f"no mean embeddings at '{path}'; make them with compute_means")
    tensors, metadata, _ = read_safetensors(path, LARGEST_FILE, "file of means")
    if metadata.get("format") != FORMAT:
        raise PolicyError(
            f"'{path}' has format {metadata.get('format')!r}, need {FORMAT!r}; use compute_means"
        )
    _refuse_other_policy(path, metadata, policy)
    _refuse_tensors(path, tensors, policy)
    try:
        counts = {str(name): int(count) for name, count in json.loads(metadata["counts"]).items()}
        frames = int(metadata["frames"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise PolicyError(f"'{path}' does not say what it was gathered from: {error}") from error
    cameras = {
        key.removeprefix(CAMERA_PREFIX): mean.float()
        for key, mean in tensors.items()
        if key.startswith(CAMERA_PREFIX)
    }
    instruction = tensors.get(INSTRUCTION_KEY)
    return TokenMeans(cameras, None if instruction is None else instruction.float(), frames, counts)


def _refuse_other_policy(path: Path, metadata: dict[str, str], policy: Policy) -> None:
    found = metadata.get("weights_hash", "")
    if found != policy.spec.weights_hash:
        raise PolicyError(
            f"'{path}' was gathered with weights {found or 'unknown'} and the policy has {policy.spec.weights_hash}; "
            "run compute_means with this policy"
        )


def _refuse_tensors(path: Path, tensors: dict[str, Tensor], policy: Policy) -> None:
    missing = [name for name in policy.spec.camera_names if f"{CAMERA_PREFIX}{name}" not in tensors]
    if missing:
        raise PolicyError(f"'{path}' has no mean embedding of camera '{missing[0]}'; run compute_means again")
    for key, mean in tensors.items():
        if mean.ndim != 1 or not bool(isfinite(mean).all()):
            raise PolicyError(f"'{key}' in '{path}' must be [D] and finite, got {list(mean.shape)}")
