# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy that lies in a directory: ``manifest.json`` and one graph or two, ONNX or torch.export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, Encoded, Segment
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.manifest import Camera, Manifest
from vla_iss_ros.policies.manifest_graphs import SegmentEntry
from vla_iss_ros.policies.observing import camera_pixels, require_instruction, state_row, word_indices
from vla_iss_ros.policies.protocol import CameraSpec, PolicySpec


class GraphRunner(Protocol):
    """A loaded graph; ``inputs`` are the names that it takes."""

    inputs: tuple[str, ...]

    def run(self, feeds: Mapping[str, Tensor]) -> Tensor:
        """Return the output for inputs [N, ...] by name; raises RuntimeError in one line when it fails."""


class ExportedPolicy:
    """A policy that a graph computes: normalised actions from images, and where it takes them state, words, noise.

    The graph normalises its images and state itself. It runs in the precision that it was exported with.
    """

    def __init__(self, manifest: Manifest, graph: GraphRunner, device: torch.device) -> None:
        self.manifest = manifest
        self.device = device
        self._graph = graph
        self._resizes = {camera.name: camera.resize for camera in manifest.cameras}
        self._mean = torch.tensor(manifest.action.mean, device=device)
        self._std = torch.tensor(manifest.action.std, device=device)
        state, noise = manifest.state, manifest.noise
        self.spec = PolicySpec(
            name=manifest.name,
            cameras=tuple(_camera_spec(camera, manifest) for camera in manifest.cameras),
            horizon=manifest.horizon,
            action_names=manifest.action.names,
            action_units=manifest.action.units,
            state_names=() if state is None else state.names,
            state_mean=None if state is None else state.mean,
            noise_shape=None if noise is None else noise.shape,
            weights_hash=manifest.weights_hash,
        )

    def preprocess(self, observation: Observation) -> Prepared:
        """Bring every camera to the graph's size by the manifest's rule and look up the words.

        Raises ValueError for a missing camera, a letterbox of other proportions, a state of another size, or an
        empty instruction where the graph takes one.
        """
        images = self.resize(camera_pixels(observation, self.spec.camera_names, self.device))
        return self.preprocess_inputs(observation, Prepared(images, {}))

    def preprocess_inputs(self, observation: Observation, base: Prepared) -> Prepared:
        """Take the state and look up the words; images are those of ``base``. Raises ValueError as above."""
        inputs: dict[str, Tensor] = {}
        texts: tuple[str, ...] = ()
        if self.manifest.state is not None:
            names = self.manifest.state.names
            inputs[self.manifest.state.input] = state_row(observation, names, self.device)
        if self.manifest.instruction is not None:
            require_instruction(observation)
            entry = self.manifest.instruction
            words = word_indices(observation.instruction, entry.vocabulary, entry.max_words)
            inputs[entry.input] = words[None].to(self.device)
            texts = tuple(observation.instruction.lower().split())
        boxes = {name: resize.content for name, resize in self._resizes.items()}
        content = {name: box for name, box in boxes.items() if box is not None}
        return Prepared(base.images, inputs, content, texts)

    def resize(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Bring images float32 [N, 3, H, W] in [0, 1] to the graph's size."""
        return {name: self._resizes[name](image) for name, image in images.items()}

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        """Draw one row of standard normal noise, float32 [1, *shape], or None for a deterministic policy."""
        if self.manifest.noise is None:
            return None
        return torch.randn(1, *self.manifest.noise.shape, generator=generator).to(self.device)

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        """Act on N variants of ``base``; all rows share ``noise``.

        Raises PolicyError for an answer of another shape than the manifest's, RuntimeError when the graph fails.
        """
        count = _count(images)
        feeds = {**self._pictures(base, images), **base.inputs, **self._noise(noise)}
        return self._answer(self._graph, feeds, count)

    def _pictures(self, base: Prepared, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            camera.input: images.get(camera.name, base.images[camera.name])
            for camera in self.manifest.cameras
        }

    def _noise(self, noise: Tensor | None) -> dict[str, Tensor]:
        if self.manifest.noise is None or noise is None:
            return {}
        return {self.manifest.noise.input: noise}

    def _answer(self, graph: GraphRunner, feeds: Mapping[str, Tensor], count: int) -> Actions:
        normalised = _run(graph, feeds, count)
        wanted = (count, self.manifest.horizon, len(self.manifest.action.names))
        if tuple(normalised.shape) != wanted:
            raise PolicyError(
                f"graph of policy '{self.spec.name}' answers {list(normalised.shape)} to {count} rows, its manifest "
                f"promises {list(wanted)}; correct horizon and action.names or export with a dynamic batch"
            )
        return Actions(normalised, normalised * self._std + self._mean)


class ExportedTokenPolicy(ExportedPolicy):
    """The same from two graphs: ``encode`` makes tokens of images and words, ``act`` makes actions of tokens."""

    def __init__(
        self, manifest: Manifest, encoder: GraphRunner, actor: GraphRunner, device: torch.device
    ) -> None:
        assert manifest.tokens is not None
        super().__init__(manifest, actor, device)
        self._encoder = encoder
        self._tokens = manifest.tokens

    def encode(self, base: Prepared) -> Encoded:
        """Run the graph ``encode`` on one observation; raises as ``run_pixels`` does."""
        tokens = self._encode(base, {}, 1)
        segments = [_segment(entry, base) for entry in self._tokens.segments]
        return Encoded(tokens, tuple(segments), base.inputs)

    def run_tokens(self, encoded: Encoded, tokens: Tensor, noise: Tensor | None) -> Actions:
        """Act on N variants of the tokens with the graph ``act`` alone; raises as ``run_pixels`` does."""
        return self._act(encoded.inputs, tokens, noise)

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        """Act on N variants of ``base`` with both graphs; all rows share ``noise``.

        Raises PolicyError for tokens or an answer of another shape than the manifest's, RuntimeError when a graph
        fails.
        """
        return self._act(base.inputs, self._encode(base, images, _count(images)), noise)

    def _encode(self, base: Prepared, images: Mapping[str, Tensor], count: int) -> Tensor:
        tokens = _run(self._encoder, {**self._pictures(base, images), **base.inputs}, count)
        wanted = (count, *self._tokens.shape)
        if tuple(tokens.shape) != wanted:
            raise PolicyError(
                f"graph encode of policy '{self.spec.name}' answers {list(tokens.shape)} to {count} rows, its manifest "
                f"promises {list(wanted)}; correct tokens.shape or export with a dynamic batch"
            )
        return tokens

    def _act(self, inputs: Mapping[str, Tensor], tokens: Tensor, noise: Tensor | None) -> Actions:
        feeds = {**inputs, **self._noise(noise), self._tokens.input: tokens}
        return self._answer(self._graph, feeds, len(tokens))


def _count(images: Mapping[str, Tensor]) -> int:
    return max((len(rows) for rows in images.values()), default=1)


def _run(graph: GraphRunner, feeds: Mapping[str, Tensor], count: int) -> Tensor:
    """Run a graph on ``count`` rows of what it takes of ``feeds``."""
    return graph.run({name: feeds[name].expand(count, *feeds[name].shape[1:]) for name in graph.inputs})


def _camera_spec(camera: Camera, manifest: Manifest) -> CameraSpec:
    segments = () if manifest.tokens is None else manifest.tokens.segments
    grids = [segment.grid for segment in segments if segment.kind == CAMERA and segment.name == camera.name]
    return CameraSpec(camera.name, camera.resize.size, grids[0] if grids else None, camera.resize.rule)


def _segment(entry: SegmentEntry, base: Prepared) -> Segment:
    """Lay a segment over one observation: its words, and a camera's padding in tokens."""
    if entry.kind == INSTRUCTION:
        words = base.words[: entry.stop - entry.start]
        return Segment(
            INSTRUCTION, entry.start, entry.start + len(words), words=words, word_of=tuple(range(len(words)))
        )
    content = None
    if entry.grid is not None and entry.name in base.content:
        size = base.images[entry.name].shape[-2:]
        down, across = entry.grid[0] / size[0], entry.grid[1] / size[1]
        top, left, height, width = base.content[entry.name]
        content = (top * down, left * across, height * down, width * across)
    return Segment(entry.kind, entry.start, entry.stop, entry.name, entry.grid, content)
