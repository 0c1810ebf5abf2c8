"""Write a policy as a manifest and a graph."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vla_iss_ros.iss.observation import Prepared
from vla_iss_ros.policies.builtin import BuiltinPolicy
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.exported import load_exported
from vla_iss_ros.policies.manifest import FORMAT, MANIFEST
from vla_iss_ros.policies.patch_transformer import PatchTransformer
from vla_iss_ros.policies.protocol import Policy

LARGEST_BATCH = 4096
BATCHES = (1, 2, 3, 33)
# Far above rounding and far below what any intervention does.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Exported:
    """What was written; ``difference``: the largest from the original, normalised action units."""

    bytes: int
    difference: float


class _Whole(nn.Module):
    """The network as one function of tensors: the cameras' images in order, state, words."""

    def __init__(self, network: PatchTransformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return normalised actions [N, T, A]."""
        *images, state, words = inputs
        patches = torch.stack([self.network.embed_images(image) for image in images], 1)
        return self.network.act(patches, self.network.embed_words(words), words == 0, state)


def export_policy(policy: Policy, directory: Path, kind: str = "onnx") -> Exported:
    """Write ``policy`` as the new directory ``directory`` with a graph of ``kind`` (onnx or pt2).

    The directory appears when it is complete and has been compared with the original. Raises PolicyError when it
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
        _write(policy, partial, kind)
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


def _write(policy: BuiltinPolicy, directory: Path, kind: str) -> None:
    network = _Whole(policy.network).eval()
    names = [*policy.spec.camera_names, "state", "words"]
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    example = _inputs(policy, 3, torch.Generator().manual_seed(0))
    file = directory / f"graph.{kind}"
    with _quiet(), torch.no_grad():
        program = torch.export.export(network, example, dynamic_shapes=(({0: batch},) * len(names),))
        if kind == "onnx":
            _save_onnx(program, file, names)
            output = "actions"
        elif kind == "pt2":
            torch.export.save(program, file)
            names = list(program.graph_signature.user_inputs)
            output = program.graph_signature.user_outputs[0]
        else:
            raise PolicyError(f"kind must be onnx or pt2, got '{kind}'")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    graph = {"file": file.name, "kind": kind, "sha256": digest, "output": output, "batch": "dynamic"}
    text = json.dumps(_manifest(policy, graph, names), indent=1, ensure_ascii=False)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _save_onnx(program: Any, file: Path, names: Sequence[str]) -> None:
    try:
        import onnxscript  # noqa: F401 - the exporter of torch needs it and says so in many lines
    except ImportError as error:
        raise PolicyError(
            "kind onnx needs onnxscript to export; install it with: pip install vla_iss_ros[export]"
        ) from error
    exported = torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=list(names), output_names=["actions"]
    )
    assert exported is not None
    exported.save(file, external_data=False)


def _manifest(policy: BuiltinPolicy, graph: dict[str, str], inputs: Sequence[str]) -> dict[str, Any]:
    spec, network = policy.spec, policy.network
    *images, state, words = inputs
    return {
        "format": FORMAT,
        "name": spec.name,
        "graph": graph,
        "cameras": [
            {"name": camera.name, "input": name, "input_size": list(camera.input_size), "resize": "area"}
            for camera, name in zip(spec.cameras, images, strict=True)
        ],
        "horizon": spec.horizon,
        "action": {
            "names": list(spec.action_names),
            "units": list(spec.action_units),
            "mean": network.action_mean.tolist(),
            "std": network.action_std.tolist(),
        },
        "state": {
            "input": state,
            "names": list(spec.state_names),
            "mean": None if spec.state_mean is None else list(spec.state_mean),
        },
        "instruction": {
            "input": words,
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


def _difference(policy: BuiltinPolicy, copy: Policy, generator: torch.Generator) -> float:
    """Return the largest difference of normalised actions over batches of several sizes."""
    largest = 0.0
    names = policy.spec.camera_names
    for count in BATCHES:
        *images, state, words = _inputs(policy, count, generator)
        rows = dict(zip(names, images, strict=True))
        first = {name: image[:1] for name, image in rows.items()}
        inputs = {"state": state[:1], "words": words[:1]}
        answer = policy.run_pixels(Prepared(first, inputs), rows, None).normalised
        entries = copy.manifest  # type: ignore[attr-defined]
        renamed = {entries.state.input: inputs["state"], entries.instruction.input: inputs["words"]}
        other = copy.run_pixels(Prepared(first, renamed), rows, None).normalised
        largest = max(largest, float((answer - other).abs().max()))
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' remarks on packages that are not there from the command's output."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
