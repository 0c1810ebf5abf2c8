# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What lies in a directory of OpenVLA, checked before any of it is run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_iss_ros.policies.errors import PolicyError

CONFIG, PREPROCESSOR, INDEX, WEIGHTS = (
    "config.json",
    "preprocessor_config.json",
    "model.safetensors.index.json",
    "model.safetensors",
)
MODEL = "AutoModelForVision2Seq"
CLASSES = ("AutoConfig", MODEL)
STRATEGIES = ("resize-naive", "letterbox")
LARGEST_JSON = 64 * 2**20


@dataclass(frozen=True)
class Statistics:
    """What turns an action in [-1, 1] into a physical one; where ``mask`` is False it stays as it is."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    mask: tuple[bool, ...]


@dataclass(frozen=True)
class Directory:
    """A directory of OpenVLA.

    ``classes``: references of its own classes by the automatic ones' names. ``files``: its safetensors.
    ``vocabulary``: size without the rows that pad the embedding; action tokens are its last ``bins``. ``size``: side
    of the image; ``means`` and ``stds`` [T][3] of its T vision towers.
    """

    path: Path
    classes: Mapping[str, str]
    files: tuple[Path, ...]
    vocabulary: int
    bins: int
    size: int
    strategy: str
    means: tuple[tuple[float, ...], ...]
    stds: tuple[tuple[float, ...], ...]
    statistics: Statistics
    version: str


def read_directory(path: Path, key: str) -> Directory:
    """Read a directory; ``key`` names the statistics of un-normalisation, empty where there is one set alone.

    Raises PolicyError in one line for whatever is missing or wrong.
    """
    if not path.is_dir():
        raise PolicyError(f"no directory '{path}'; give openvla:DIRECTORY with {CONFIG} and {WEIGHTS}")
    config, images = _object(path / CONFIG), _object(path / PREPROCESSOR)
    try:
        towers = 2 if config["use_fused_vision_backbone"] else 1
        vocabulary = config["text_config"]["vocab_size"] - config.get("pad_to_multiple_of", 64)
        bins, sizes = config.get("n_action_bins", 256), config["image_sizes"]
        strategy = str(config.get("image_resize_strategy", "letterbox"))
        classes = {name: str(config["auto_map"][name]) for name in CLASSES}
        means, stds = (_rows(images[name], towers) for name in ("means", "stds"))
        statistics = _statistics(path, config["norm_stats"], key)
    except PolicyError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise PolicyError(f"{CONFIG} or {PREPROCESSOR} of '{path}' is not of OpenVLA: {reason}") from error
    _refuse_sizes(path, sizes, towers, vocabulary, bins)
    if strategy not in STRATEGIES:
        raise PolicyError(f"'{path}' resizes images by '{strategy}'; have {', '.join(STRATEGIES)}")
    elsewhere = [
        reference for reference in classes.values() if "--" in reference or reference.count(".") != 1
    ]
    if elsewhere:
        raise PolicyError(
            f"'{path}' takes code from '{elsewhere[0]}'; only Python files in the directory itself may run"
        )
    version = str(config.get("arch_specifier", "")) + str(config.get("_name_or_path", ""))
    return Directory(
        path,
        classes,
        _weights(path),
        vocabulary,
        bins,
        int(sizes[0]),
        strategy,
        means,
        stds,
        statistics,
        version,
    )


def _object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise PolicyError(f"'{path}' has {path.stat().st_size} bytes, more than {LARGEST_JSON}")
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(
            f"'{path}' cannot be read: {error.strerror}; a directory of OpenVLA has one"
        ) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, PolicyError):
            raise
        raise PolicyError(f"'{path}' is not JSON: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(values, dict):
        raise PolicyError(f"'{path}' must hold an object, got {type(values).__name__}")
    return values


def _rows(values: Any, towers: int) -> tuple[tuple[float, ...], ...]:
    rows = tuple(tuple(float(value) for value in row) for row in values)
    if len(rows) != towers or any(len(row) != 3 or not all(map(math.isfinite, row)) for row in rows):
        raise ValueError(f"means and stds must be {towers} times 3 numbers, got {rows}")
    return rows


def _statistics(path: Path, sets: Any, key: str) -> Statistics:
    names = sorted(sets)
    if not key and len(names) == 1:
        key = names[0]
    if key not in names:
        raise PolicyError(
            f"'{path}' has statistics of {', '.join(names)[:300]}; choose one with openvla:DIRECTORY?unnorm_key=NAME, "
            f"got '{key}'"
        )
    entry = sets[key]["action"]
    low, high = (tuple(float(value) for value in entry[name]) for name in ("q01", "q99"))
    mask = tuple(bool(value) for value in entry.get("mask", [True] * len(low)))
    sound = all(map(math.isfinite, low + high)) and all(
        one <= two for one, two in zip(low, high, strict=False)
    )
    if not low or not len(low) == len(high) == len(mask) or not sound:
        raise ValueError(f"q01, q99 and mask of '{key}' must be of one length, finite and in order")
    return Statistics(low, high, mask)


def _refuse_sizes(path: Path, sizes: Any, towers: int, vocabulary: Any, bins: Any) -> None:
    if (
        not isinstance(sizes, list)
        or len(sizes) < towers
        or len(set(map(str, sizes))) != 1
        or not isinstance(sizes[0], int)
    ):
        raise PolicyError(f"image_sizes of '{path}' must be one size for {towers} vision towers, got {sizes}")
    if not isinstance(bins, int) or not isinstance(vocabulary, int) or not 1 < bins <= vocabulary:
        raise PolicyError(
            f"'{path}' needs 2 or more action bins within its vocabulary, got {bins} of {vocabulary}"
        )


def _weights(path: Path) -> tuple[Path, ...]:
    """Return the safetensors files; a pickled checkpoint is none."""
    names = [WEIGHTS]
    if (path / INDEX).is_file():
        mapping = _object(path / INDEX).get("weight_map")
        if not isinstance(mapping, dict) or not mapping:
            raise PolicyError(f"'{path / INDEX}' names no files in weight_map")
        names = sorted({str(name) for name in mapping.values()})
    for name in names:
        if Path(name).name != name or not (path / name).is_file() or not name.endswith(".safetensors"):
            raise PolicyError(
                f"'{path}' has no weights '{name}'; only safetensors in the directory itself are read"
            )
    return tuple(path / name for name in names)
