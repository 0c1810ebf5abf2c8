# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From ``TYPE[:PATH]`` to a policy, and where the shipped samples are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import torch

from vla_iss_ros.policies.builtin import load_builtin
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.exported_loading import load_exported
from vla_iss_ros.policies.lerobot.loader import load_lerobot
from vla_iss_ros.policies.openpi.loading import load_openpi
from vla_iss_ros.policies.openvla.loader import load_openvla
from vla_iss_ros.policies.permissions import Permissions
from vla_iss_ros.policies.protocol import Policy

NONE = Permissions()
ENTRY_POINTS = "vla_iss_ros.policies"
REQUIRED = ("spec", "device", "preprocess", "sample_noise", "run_pixels")


def shipped_samples() -> Path:
    """Return the directory of the shipped samples: the checkout's, else the installed package's share directory.

    Raises PolicyError when there is none.
    """
    share = Path("share") / "vla_iss_ros" / "samples"
    package = Path(__file__).resolve()
    # colcon puts share/ beside lib/pythonX.Y/site-packages; pip puts it under the environment's prefix.
    candidates = [package.parents[2] / "samples", Path(sys.prefix) / share]
    candidates += [parent / share for parent in package.parents]
    for candidate in candidates:
        if (candidate / "policies").is_dir():
            return candidate
    raise PolicyError("the shipped samples are not installed; give a policy's path and a directory of donors")


def local_path(name: str) -> Path | None:
    """Return the file or directory that ``TYPE[:PATH]`` names, without options after ``?``; None where none."""
    kind, _, path = name.partition(":")
    if not path or kind == "openpi":
        return None
    whole, bare = Path(path).expanduser(), Path(path.partition("?")[0]).expanduser()
    return bare if not whole.exists() and bare.exists() else whole


def choose_device(name: str) -> torch.device:
    """Return a torch device from auto, cpu, cuda or cuda:N; raises PolicyError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise PolicyError(f"device must be auto, cpu, cuda or cuda:N, got '{name}'") from error
    if device.type not in ("cpu", "cuda"):
        raise PolicyError(f"device must be auto, cpu, cuda or cuda:N, got '{name}'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise PolicyError(f"device '{name}' is not there; this computer has {torch.cuda.device_count()} GPUs")
    return device


def load_policy(name: str, device: str = "auto", permissions: Permissions = NONE) -> Policy:
    """Load ``TYPE[:PATH]``; raises PolicyError in one line with what is wrong and what to do."""
    kind, _, path = name.partition(":")
    if kind in REGISTRY:
        return REGISTRY[kind](path, choose_device(device), permissions)
    others = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if kind not in others:
        known = ", ".join([*REGISTRY, *sorted(others)])
        raise PolicyError(
            f"policy must be TYPE[:PATH] with TYPE one of {known}, got '{name}'; a package of yours can add one with "
            f"an entry point of the group {ENTRY_POINTS}"
        )
    return _load_installed(others[kind], path, choose_device(device))


def _load_installed(entry: EntryPoint, path: str, device: torch.device) -> Policy:
    """Load a policy that an installed package brings: its entry point is called with the path and the device."""
    try:
        policy: Policy = entry.load()(path, device)
        lacking = [name for name in REQUIRED if not hasattr(policy, name)]
    except Exception as error:  # code of others may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise PolicyError(f"policy '{entry.name}' of {entry.value} did not load: {reason}") from error
    if lacking:
        raise PolicyError(f"policy '{entry.name}' of {entry.value} has no {lacking[0]}; see docs/policies.md")
    return policy


def _load_builtin(path: str, device: torch.device, permissions: Permissions) -> Policy:
    chosen = Path(path).expanduser() if path else shipped_samples() / "policies" / "clean.safetensors"
    return load_builtin(chosen, device)


def _load_exported(path: str, device: torch.device, permissions: Permissions) -> Policy:
    if not path:
        raise PolicyError("policy exported needs a directory made by export_policy: exported:PATH")
    return load_exported(Path(path).expanduser(), device, permissions.pickle)


def _load_lerobot(path: str, device: torch.device, permissions: Permissions) -> Policy:
    if not path:
        raise PolicyError("policy lerobot needs a local pretrained directory: lerobot:PATH")
    return load_lerobot(Path(path).expanduser(), device)


def _load_openpi(path: str, device: torch.device, permissions: Permissions) -> Policy:
    return load_openpi(path, permissions.unshared_noise)


def _load_openvla(path: str, device: torch.device, permissions: Permissions) -> Policy:
    return load_openvla(path, device, permissions.remote_code)


REGISTRY: Mapping[str, Callable[[str, torch.device, Permissions], Policy]] = {
    "builtin": _load_builtin,
    "exported": _load_exported,
    "lerobot": _load_lerobot,
    "openpi": _load_openpi,
    "openvla": _load_openvla,
}
