# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lerobot:PATH``: from a pretrained directory to a policy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.lerobot.act import ActPolicy
from vla_iss_ros.policies.lerobot.base import LeRobotPolicy, Parts
from vla_iss_ros.policies.lerobot.diffusion import DiffusionPolicy
from vla_iss_ros.policies.lerobot.directory import CONFIG, WEIGHTS, Directory, read_directory
from vla_iss_ros.policies.lerobot.library import import_lerobot
from vla_iss_ros.policies.lerobot.pi0 import Pi0Policy, Pi05Policy
from vla_iss_ros.policies.lerobot.processors import STATE, load_processors
from vla_iss_ros.policies.lerobot.smolvla import SmolVlaPolicy
from vla_iss_ros.policies.lerobot.weights import adopt_precision, hash_file, require_weights

FAMILIES: Mapping[str, type[LeRobotPolicy]] = {
    "act": ActPolicy,
    "diffusion": DiffusionPolicy,
    "smolvla": SmolVlaPolicy,
    "pi0": Pi0Policy,
    "pi05": Pi05Policy,
}
PI = ("pi0", "pi05")
TRIAL_ROWS = 3
# Compiled code cannot be looked into, and weights come from the directory, never from anywhere else.
OFF = {
    "compile_model": False,
    "pretrained_backbone_weights": None,
    "load_vlm_weights": False,
    "rtc_config": None,
}


def load_lerobot(path: Path, device: torch.device) -> LeRobotPolicy:
    """Load a local pretrained directory with its processors, without the network.

    Raises PolicyError in one line for a directory that is not usable, weights that did not arrive, or where lerobot
    is not installed.
    """
    directory = read_directory(path, tuple(FAMILIES))
    installed = import_lerobot()
    if directory.kind in PI and installed.startswith("0.4."):
        raise PolicyError(
            f"'{path}' is of type {directory.kind}, which lerobot {installed} runs only with a changed transformers; "
            "use lerobot 0.6 on Python 3.12"
        )
    with redirect_stdout(sys.stderr):  # the library prints while it loads
        return _load(directory, device, installed)


def _load(directory: Directory, device: torch.device, installed: str) -> LeRobotPolicy:
    config = _read_config(directory, device, installed)
    try:
        processors = load_processors(directory, config)
        network = _load_network(directory, config, installed)
        _verify(network, directory, config)
        weights_hash = hash_file(directory.path / WEIGHTS)
        policy = FAMILIES[directory.kind](Parts(network, config, processors, directory, device, weights_hash))
        _try(policy)
    except PolicyError:
        raise
    except Exception as error:  # whatever the directory's values run into
        raise PolicyError(
            f"'{directory.path}' does not run on {TRIAL_ROWS} rows of what its {CONFIG} says: {_said(error)}"
        ) from error
    return policy


def _verify(network: Any, directory: Directory, config: Any) -> None:
    weights = directory.path / WEIGHTS
    if directory.config.get("load_vlm_weights"):
        # The class would have made itself from a pretrained model, in that model's precision.
        adopt_precision(network, weights)
    require_weights(network, weights, _renaming(network, config))


def _try(policy: LeRobotPolicy) -> None:
    """Run grey rows: a directory whose values do not fit each other must not be found out on the robot."""
    spec = policy.spec
    grey = {camera.name: np.full((*camera.input_size, 3), 128, np.uint8) for camera in spec.cameras}
    state = np.asarray(spec.state_mean or (0.0,) * len(spec.state_names), np.float32)
    with torch.inference_mode():
        base = policy.preprocess(Observation(grey, "wait", state))
        rows = {name: image.expand(TRIAL_ROWS, -1, -1, -1) for name, image in base.images.items()}
        answer = policy.run_pixels(base, rows, policy.sample_noise(torch.Generator())).normalised
    wanted = (TRIAL_ROWS, spec.horizon, len(spec.action_names))
    if tuple(answer.shape) != wanted or 0 in wanted:
        raise ValueError(f"answers are {list(answer.shape)} and must be {list(wanted)}")


def _read_config(directory: Directory, device: torch.device, installed: str) -> Any:
    from lerobot.configs.policies import PreTrainedConfig

    try:
        config = PreTrainedConfig.from_pretrained(str(directory.path), local_files_only=True)
    except Exception as error:  # the library raises anything, SystemExit of its parser is none
        raise PolicyError(
            f"'{directory.path / CONFIG}' does not fit lerobot {installed}: {_said(error)}; install the version that "
            "the policy was trained with"
        ) from error
    config.device = str(device)
    if hasattr(config, "vlm_model_name"):
        config.vlm_model_name = directory.local(config.vlm_model_name)
    for name, value in OFF.items():
        if hasattr(config, name):
            setattr(config, name, value)
    if STATE not in (config.input_features or {}) or config.action_feature is None:
        raise PolicyError(
            f"'{directory.path / CONFIG}' must have '{STATE}' and 'action', which this adapter needs"
        )
    if config.env_state_feature is not None:
        raise PolicyError(
            f"'{directory.path / CONFIG}' takes the state of a simulator's environment, which no robot has; "
            "train without it"
        )
    return config


def _load_network(directory: Directory, config: Any, installed: str) -> Any:
    from lerobot.policies.factory import get_policy_class

    try:
        network = get_policy_class(directory.kind).from_pretrained(str(directory.path), config=config)
    except Exception as error:  # the library raises anything
        raise PolicyError(
            f"'{directory.path}' does not load with lerobot {installed}: {_said(error)}"
        ) from error
    return network.to(config.device).eval().requires_grad_(False)


def _renaming(network: Any, config: Any) -> Callable[[str], str | None]:
    """Return how the library names a key of the file, None where it leaves it out."""
    fix = getattr(network, "_fix_pytorch_state_dict_keys", None)
    if fix is None:
        return lambda key: key
    nothing = torch.empty(0)

    def renamed(key: str) -> str | None:
        names = list(fix({key: nothing}, config))
        return names[-1] if names else None

    return renamed


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
