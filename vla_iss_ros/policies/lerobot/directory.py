# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What lies in a pretrained directory of LeRobot, checked before any of it is handed to the library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.fields import Fields

CONFIG, WEIGHTS, NAMES = "config.json", "model.safetensors", "vla_iss_names.json"
PREPROCESSOR, POSTPROCESSOR = "policy_preprocessor.json", "policy_postprocessor.json"
LARGEST_JSON = 2**22
# Others could change images, state or actions in ways that this adapter does not know of.
STEPS = (
    "rename_observations_processor",
    "to_batch_processor",
    "device_processor",
    "normalizer_processor",
    "unnormalizer_processor",
    "tokenizer_processor",
    "smolvla_new_line_processor",
    "pi0_new_line_processor",
    "pi05_prepare_state_tokenizer_processor_step",
    "relative_actions_processor",
    "absolute_actions_processor",
)
MIGRATE = "python -m lerobot.processor.migrate_policy_normalization --pretrained-path"


@dataclass(frozen=True)
class Names:
    """Names and units that the directory gives; empty where it gives none."""

    actions: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    state: tuple[str, ...] = ()


@dataclass(frozen=True)
class Directory:
    """A pretrained directory: ``config`` (config.json), its ``kind`` and the ``steps`` of its processors."""

    path: Path
    config: Mapping[str, Any]
    kind: str
    steps: Mapping[str, Mapping[str, Any]]
    names: Names

    def local(self, repository: str) -> str:
        """Return the local directory that stands for a repository of the hub, else the name itself.

        It lies in this one under the repository's last name, such as ``paligemma-3b-pt-224``.
        """
        inside = self.path / repository.rstrip("/").rpartition("/")[2]
        return str(inside) if inside.is_dir() else repository


def read_directory(path: Path, kinds: Sequence[str]) -> Directory:
    """Read the JSON files of ``path``; raises PolicyError for what is missing, or of no kind in ``kinds``."""
    if not path.is_dir():
        raise PolicyError(f"no directory '{path}'; give lerobot:PATH of a local pretrained directory")
    config = _read(path, CONFIG, "it is no pretrained directory of LeRobot")
    kind = config.get("type")
    if kind not in kinds:
        raise PolicyError(
            f"'{path / CONFIG}' is of a policy of type {kind!r}, which has no adapter; types that have one: "
            f"{', '.join(kinds)}"
        )
    if (path / "adapter_config.json").exists() or config.get("use_peft"):
        raise PolicyError(f"'{path}' holds an adapter of PEFT; merge it into its policy and save that")
    if not (path / WEIGHTS).is_file():
        raise PolicyError(f"'{path}' has no {WEIGHTS}; copy the whole pretrained directory")
    steps: dict[str, Mapping[str, Any]] = {}
    for name in (PREPROCESSOR, POSTPROCESSOR):
        steps |= _steps(path, name)
    return Directory(path, config, str(kind), steps, _names(path))


def _read(path: Path, name: str, otherwise: str) -> dict[str, Any]:
    file = path / name
    if not file.is_file():
        raise PolicyError(f"'{path}' has no {name}; {otherwise}")
    if file.stat().st_size > LARGEST_JSON:
        raise PolicyError(f"'{file}' has {file.stat().st_size} bytes, more than {LARGEST_JSON}")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PolicyError(f"'{file}' is not readable JSON: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(values, dict):
        raise PolicyError(f"'{file}' must be an object, got {type(values).__name__}")
    return values


def _steps(path: Path, name: str) -> dict[str, Mapping[str, Any]]:
    """Return the configuration of every step by its registered name.

    A step that is named by an import path would import any module that is installed: it is refused.
    """
    otherwise = f"directories from before LeRobot 0.4 are brought up to date with: {MIGRATE} {path}"
    listed = _read(path, name, otherwise).get("steps")
    if not isinstance(listed, list) or not listed:
        raise PolicyError(f"'{path / name}' must hold a list of steps, got {str(listed)[:80]}")
    found = {}
    for entry in listed:
        step = entry.get("registry_name") if isinstance(entry, dict) else None
        if step not in STEPS:
            shown = step or (entry.get("class") if isinstance(entry, dict) else entry)
            raise PolicyError(
                f"'{path / name}' has a step {str(shown)[:80]!r} that this adapter does not know; known "
                f"are {', '.join(STEPS)}"
            )
        config = entry.get("config") or {}
        _refuse_outside(path, name, entry.get("state_file"))
        if step in ("relative_actions_processor", "absolute_actions_processor") and config.get("enabled"):
            raise PolicyError(f"'{path / name}' makes actions relative to the state, which has no adapter")
        found[step] = config
    return found


def _refuse_outside(path: Path, name: str, state_file: Any) -> None:
    if state_file is None:
        return
    if not isinstance(state_file, str) or Path(state_file).name != state_file:
        raise PolicyError(f"'{path / name}' names the file {state_file!r}, which must lie in '{path}' itself")
    if not (path / state_file).is_file():
        raise PolicyError(f"'{path}' has no {state_file}; copy the whole pretrained directory")


def _names(path: Path) -> Names:
    if not (path / NAMES).exists():
        return Names()
    fields = Fields(_read(path, NAMES, ""), f"'{path / NAMES}'")
    names = Names(fields.texts("action_names"), fields.texts("action_units"), fields.texts("state_names"))
    fields.finish()
    return names
