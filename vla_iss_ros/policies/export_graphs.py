# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shipped network as functions of tensors alone, and how one is written as a graph."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.patch_transformer import PatchTransformer

LARGEST_BATCH = 4096
# Names of parameters of the modules below; whatever else is fed is a camera.
PARAMETERS = ("tokens", "state", "words")


@dataclass(frozen=True)
class WrittenGraph:
    """A graph's entry in the manifest, and what the file calls each of its inputs."""

    entry: dict[str, str]
    inputs: dict[str, str]


class Whole(nn.Module):
    """The network from state, words and the cameras' images in order to actions."""

    def __init__(self, network: PatchTransformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, state: Tensor, words: Tensor, *cameras: Tensor) -> Tensor:
        """Return normalised actions [N, T, A]."""
        patches = torch.stack([self.network.embed_images(image) for image in cameras], 1)
        return self.network.act(patches, self.network.embed_words(words), words == 0, state)


class Encode(nn.Module):
    """Vision tower and word embedding: from words and the cameras' images in order to tokens."""

    def __init__(self, network: PatchTransformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, words: Tensor, *cameras: Tensor) -> Tensor:
        """Return tokens [N, L, D]: words, then every camera's patches."""
        patches = [self.network.embed_images(image) for image in cameras]
        return torch.cat([self.network.embed_words(words), *patches], 1)


class Act(nn.Module):
    """The rest: from tokens, state and words, of which only the absent ones are looked for, to actions."""

    def __init__(self, network: PatchTransformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, state: Tensor, words: Tensor) -> Tensor:
        """Return normalised actions [N, T, A]."""
        config = self.network.config
        patches = tokens[:, config.max_words :].unflatten(1, (len(config.cameras), config.grid**2))
        return self.network.act(patches, tokens[:, : config.max_words], words == 0, state)


def write_graph(
    module: nn.Module, feeds: Mapping[str, Tensor], stem: Path, kind: str, output: str
) -> WrittenGraph:
    """Write ``module`` as the file ``stem`` with the ending of ``kind`` (onnx or pt2).

    ``feeds``: examples of its inputs [N, ...] by name and in order, cameras last. Raises PolicyError for another
    kind, or where a package is missing.
    """
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    file = stem.with_suffix(f".{kind}")
    fixed = [name for name in feeds if name in PARAMETERS]
    cameras = [name for name in feeds if name not in PARAMETERS]
    shapes: list[Any] = [{0: batch} for _ in fixed]
    if cameras:
        shapes.append(tuple({0: batch} for _ in cameras))
    with _quiet(), torch.no_grad():
        program = torch.export.export(module.eval(), tuple(feeds.values()), dynamic_shapes=tuple(shapes))
        names = list(feeds)
        if kind == "onnx":
            _save_onnx(program, file, names, output)
        elif kind == "pt2":
            torch.export.save(program, file)
            names = list(program.graph_signature.user_inputs)
            output = program.graph_signature.user_outputs[0]
        else:
            raise PolicyError(f"kind must be onnx or pt2, got '{kind}'")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    entry = {"file": file.name, "kind": kind, "sha256": digest, "output": output, "batch": "dynamic"}
    return WrittenGraph(entry, dict(zip(feeds, names, strict=True)))


def _save_onnx(program: Any, file: Path, names: Sequence[str], output: str) -> None:
    try:
        import onnxscript  # noqa: F401 - the exporter of torch needs it and says so in many lines
    except ImportError as error:
        raise PolicyError(
            "kind onnx needs onnxscript to export; install it with: pip install vla_iss_ros[export]"
        ) from error
    exported = torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=list(names), output_names=[output]
    )
    assert exported is not None
    exported.save(file, external_data=False)


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
