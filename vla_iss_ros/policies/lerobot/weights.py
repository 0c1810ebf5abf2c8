# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether a policy holds the weights of its file, and nothing else: some classes go on with random ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vla_iss_ros.policies.errors import PolicyError

PREFIX = "model."
HASHED_AT_ONCE = 2**24


def hash_file(path: Path) -> str:
    """Return the first 16 digits of a file's sha256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()[:16]


def adopt_precision(network: nn.Module, path: Path) -> None:
    """Give every parameter the floating-point precision that it has in the safetensors file ``path``."""
    try:
        with safe_open(path, framework="pt") as file:
            keys = set(file.keys())
            for name, parameter in network.named_parameters():
                if name in keys:
                    parameter.data = parameter.data.to(file.get_tensor(name).dtype)
    except (SafetensorError, OSError) as error:
        raise PolicyError(f"'{path}' is not a readable safetensors file: {error}") from error


def require_weights(
    network: nn.Module, path: Path, renamed: Callable[[str], str | None] = lambda key: key
) -> None:
    """Raise PolicyError unless every tensor of ``network`` has the values in the safetensors file ``path``.

    ``renamed`` returns the library's name of a key in the file, or None for one that it leaves out. Tensors are
    compared in the network's precision. A tensor that shares its memory with one in the file needs no entry.
    """
    state = network.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            keys = {key: _name(renamed(key), state) for key in file.keys()}  # noqa: SIM118 - not a dict
            _refuse_unknown(path, keys, state)
            seen = set()
            for key, name in keys.items():
                if name is None:
                    continue
                _compare(path, key, file.get_tensor(key), state[name])
                seen.add(name)
    except (SafetensorError, OSError) as error:
        raise PolicyError(f"'{path}' is not a readable safetensors file: {error}") from error
    shared = {state[name].data_ptr() for name in seen}
    missing = [name for name in state if name not in seen and state[name].data_ptr() not in shared]
    if missing:
        raise PolicyError(
            f"'{path}' lacks '{missing[0]}' and {len(missing) - 1} others of {len(state)} tensors; it is of another "
            "architecture than config.json, or of another version of LeRobot"
        )


def _name(key: str | None, state: Mapping[str, Tensor]) -> str | None:
    """Return a key as the network calls it: some files leave out a leading ``model.``."""
    if key is None or key in state:
        return key
    return PREFIX + key if PREFIX + key in state else key


def _refuse_unknown(path: Path, keys: Mapping[str, str | None], state: Mapping[str, Tensor]) -> None:
    unknown = [key for key, name in keys.items() if name is not None and name not in state]
    if unknown:
        raise PolicyError(
            f"'{path}' holds '{unknown[0]}' and {len(unknown) - 1} others that the architecture of config.json does "
            "not have; it belongs to another one, or to another version of LeRobot"
        )


def _compare(path: Path, key: str, saved: Tensor, loaded: Tensor) -> None:
    if saved.shape != loaded.shape:
        raise PolicyError(
            f"'{key}' in '{path}' is {list(saved.shape)}, config.json makes it {list(loaded.shape)}; they belong to "
            "different policies"
        )
    if not bool(torch.isfinite(saved).all()):
        raise PolicyError(f"'{path}' holds values that are not finite in '{key}'; copy the file again")
    if not torch.equal(saved.to(loaded.dtype), loaded.detach().cpu()):
        raise PolicyError(
            f"LeRobot did not take '{key}' from '{path}' and goes on with other values; the file is of another "
            "architecture or version"
        )
