# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Write a policy as a manifest and one graph, or two with the tokens between them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss.observation import Prepared
from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION
from vla_iss_ros.policies.builtin import BuiltinPolicy
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.export_graphs import Act, Encode, Whole, write_graph
from vla_iss_ros.policies.exported import ExportedPolicy, ExportedTokenPolicy
from vla_iss_ros.policies.exported_loading import load_exported
from vla_iss_ros.policies.manifest import FORMAT, MANIFEST, TOKEN_FORMAT
from vla_iss_ros.policies.protocol import Policy

SPACES = ("token", "pixel")
ACTIONS, TOKENS = "actions", "tokens"
BATCHES = (1, 2, 3, 33)
# Far above rounding and far below what any intervention does.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Exported:
    """What was written; ``difference``: the largest from the original, normalised action units."""

    bytes: int
    difference: float


def export_policy(policy: Policy, directory: Path, kind: str = "onnx", space: str = "token") -> Exported:
    """Write ``policy`` as the new directory ``directory`` with graphs of ``kind`` (onnx or pt2).

    ``space``: token for two graphs, encode and act, whose policy can be explained in both spaces; pixel for one. The
    directory appears when it is complete and has been compared with the original. Raises PolicyError when it
    exists, the policy is of a type that cannot be exported, a package is missing, or the two do not agree.
    """
    if directory.exists() or directory.is_symlink():
        raise PolicyError(f"'{directory}' exists already; choose another directory")
    if not isinstance(policy, BuiltinPolicy):
        raise PolicyError(f"only policies of type builtin can be exported, got {type(policy).__name__}")
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(policy, partial, kind, space)
        # The file was made here a moment ago, so there is nothing to mistrust in it.
        copy = load_exported(partial, policy.device, allow_pickle=True)
        difference = _difference(policy, copy, torch.Generator().manual_seed(0))
        if not difference <= TOLERANCE:
            raise PolicyError(
                f"exported policy differs by {difference:.1e} from the original; try another kind"
            )
        size = sum(file.stat().st_size for file in partial.iterdir())
        partial.rename(directory)
    except OSError as error:
        raise PolicyError(f"cannot write '{directory}': {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Exported(size, difference)


def _write(policy: BuiltinPolicy, directory: Path, kind: str, space: str) -> None:
    if space not in SPACES:
        raise PolicyError(f"space must be one of {', '.join(SPACES)}, got '{space}'")
    *images, state, words = _inputs(policy, 3, torch.Generator().manual_seed(0))
    cameras = dict(zip(policy.spec.camera_names, images, strict=True))
    others = {"state": state, "words": words}
    if space == "pixel":
        written = write_graph(
            Whole(policy.network), {**others, **cameras}, directory / "graph", kind, ACTIONS
        )
        parts = {"format": FORMAT, "graph": written.entry}
        inputs = written.inputs
    else:
        parts, inputs = _write_pair(policy, directory, kind, cameras, others)
    text = json.dumps(_manifest(policy, parts, inputs), indent=1, ensure_ascii=False)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _write_pair(
    policy: BuiltinPolicy,
    directory: Path,
    kind: str,
    cameras: dict[str, Tensor],
    others: dict[str, Tensor],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Write encode and act; return the manifest's entries for them, and the names of their inputs."""
    first, second = Encode(policy.network), Act(policy.network)
    feeds = {"words": others["words"], **cameras}
    with torch.no_grad():
        tokens = first(*feeds.values())
    encode = write_graph(first, feeds, directory / "encode", kind, TOKENS)
    act = write_graph(second, {TOKENS: tokens, **others}, directory / "act", kind, ACTIONS)
    inputs = {**encode.inputs, **act.inputs}
    if encode.inputs["words"] != act.inputs["words"]:
        raise PolicyError(
            f"the two graphs name their words {encode.inputs['words']} and {act.inputs['words']}"
        )
    entry = {
        "input": inputs.pop(TOKENS),
        "shape": list(tokens.shape[1:]),
        "segments": _segments(policy),
    }
    graphs = {"encode": encode.entry, "act": act.entry}
    return {"format": TOKEN_FORMAT, "graphs": graphs, "tokens": entry}, inputs


def _segments(policy: BuiltinPolicy) -> list[dict[str, Any]]:
    """Return where words and patches stand: as ``BuiltinPolicy.encode`` lays them."""
    config = policy.network.config
    segments: list[dict[str, Any]] = [{"kind": INSTRUCTION, "start": 0}]
    start, grid = config.max_words, config.grid
    for name in config.cameras:
        segments.append({"kind": CAMERA, "name": name, "start": start, "grid": [grid, grid]})
        start += grid**2
    return segments


def _manifest(policy: BuiltinPolicy, parts: dict[str, Any], inputs: dict[str, str]) -> dict[str, Any]:
    """Return the manifest: ``parts`` are its entries for graphs, ``inputs`` the graphs' names of the inputs."""
    spec, network = policy.spec, policy.network
    return {
        **parts,
        "name": spec.name,
        "cameras": [
            {
                "name": camera.name,
                "input": inputs[camera.name],
                "input_size": list(camera.input_size),
                "resize": "area",
            }
            for camera in spec.cameras
        ],
        "horizon": spec.horizon,
        "action": {
            "names": list(spec.action_names),
            "units": list(spec.action_units),
            "mean": network.action_mean.tolist(),
            "std": network.action_std.tolist(),
        },
        "state": {
            "input": inputs["state"],
            "names": list(spec.state_names),
            "mean": None if spec.state_mean is None else list(spec.state_mean),
        },
        "instruction": {
            "input": inputs["words"],
            "vocabulary": list(network.config.vocabulary),
            "max_words": network.config.max_words,
        },
        "noise": None,
    }


def _inputs(policy: BuiltinPolicy, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Return random images [N, 3, S, S] a camera, states [N, S] as recorded ones are spread, and words [N, W]."""
    network, config = policy.network, policy.network.config
    size = (count, 3, config.image_size, config.image_size)
    images = [torch.rand(size, generator=generator) for _ in config.cameras]
    state = torch.randn(count, config.state_dim, generator=generator)
    words = torch.randint(1, len(config.vocabulary) + 2, (count, config.max_words), generator=generator)
    state = state.to(policy.device) * network.state_std + network.state_mean
    return (*(image.to(policy.device) for image in images), state, words.to(policy.device))


def _difference(policy: BuiltinPolicy, copy: ExportedPolicy, generator: torch.Generator) -> float:
    """Return the largest difference of normalised actions over batches of several sizes, in every space."""
    largest = 0.0
    names, entries = policy.spec.camera_names, copy.manifest
    assert entries.state is not None
    assert entries.instruction is not None
    for count in BATCHES:
        *images, state, words = _inputs(policy, count, generator)
        rows = dict(zip(names, images, strict=True))
        first = {name: image[:1] for name, image in rows.items()}
        inputs = {"state": state[:1], "words": words[:1]}
        texts = tuple("word" for _ in range(words.shape[1]))
        original = Prepared(first, inputs, words=texts)
        renamed = {entries.state.input: inputs["state"], entries.instruction.input: inputs["words"]}
        other = Prepared(first, renamed, words=texts)
        pairs = [(policy.run_pixels(original, rows, None), copy.run_pixels(other, rows, None))]
        if isinstance(copy, ExportedTokenPolicy):
            encoded, others = policy.encode(original), copy.encode(other)
            noise = torch.randn(count, *encoded.tokens.shape[1:], generator=generator).to(policy.device)
            tokens = [part.tokens + noise * encoded.tokens.std() for part in (encoded, others)]
            pairs.append(
                (policy.run_tokens(encoded, tokens[0], None), copy.run_tokens(others, tokens[1], None))
            )
        for one, two in pairs:
            largest = max(largest, float((one.normalised - two.normalised).abs().max()))
    return largest
