"""A policy that lies in a directory: ``manifest.json`` and one graph, ONNX or torch.export."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.manifest import MANIFEST, Graph, Manifest, read_manifest
from vla_iss_ros.policies.observing import (
    UNKNOWN_WORD,
    camera_pixels,
    require_instruction,
    state_row,
    word_indices,
)
from vla_iss_ros.policies.onnx_graph import load_onnx
from vla_iss_ros.policies.protocol import CameraSpec, PolicySpec
from vla_iss_ros.policies.pt2_graph import load_pt2

# Of a protobuf message, which an ONNX file is; and what a graph with the weights of a large policy may take.
LARGEST_FILE = {"onnx": 2 * 2**30, "pt2": 64 * 2**30}
TRIAL_ROWS = 3


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
            cameras=tuple(CameraSpec(camera.name, camera.resize.size) for camera in manifest.cameras),
            horizon=manifest.horizon,
            action_names=manifest.action.names,
            action_units=manifest.action.units,
            state_names=() if state is None else state.names,
            state_mean=None if state is None else state.mean,
            noise_shape=None if noise is None else noise.shape,
            weights_hash=manifest.graph.sha256[:16],
        )

    def preprocess(self, observation: Observation) -> Prepared:
        """Bring every camera to the graph's size by the manifest's rule and look up the words.

        Raises ValueError for a missing camera, a letterbox of other proportions, a state of another size, or an
        empty instruction where the graph takes one.
        """
        images = self.resize(camera_pixels(observation, self.spec.camera_names, self.device))
        inputs = {}
        if self.manifest.state is not None:
            names = self.manifest.state.names
            inputs[self.manifest.state.input] = state_row(observation, names, self.device)
        if self.manifest.instruction is not None:
            require_instruction(observation)
            entry = self.manifest.instruction
            words = word_indices(observation.instruction, entry.vocabulary, entry.max_words)
            inputs[entry.input] = words[None].to(self.device)
        boxes = {name: resize.content for name, resize in self._resizes.items()}
        return Prepared(images, inputs, {name: box for name, box in boxes.items() if box is not None})

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
        count = max((len(rows) for rows in images.values()), default=1)
        feeds = {
            camera.input: images.get(camera.name, base.images[camera.name])
            for camera in self.manifest.cameras
        }
        feeds.update(base.inputs)
        if self.manifest.noise is not None and noise is not None:
            feeds[self.manifest.noise.input] = noise
        normalised = self._graph.run(
            {name: rows.expand(count, *rows.shape[1:]) for name, rows in feeds.items()}
        )
        wanted = (count, self.manifest.horizon, len(self.manifest.action.names))
        if tuple(normalised.shape) != wanted:
            raise PolicyError(
                f"graph of policy '{self.spec.name}' answers {list(normalised.shape)} to {count} rows, its manifest "
                f"promises {list(wanted)}; correct horizon and action.names or export with a dynamic batch"
            )
        return Actions(normalised, normalised * self._std + self._mean)


def load_exported(directory: Path, device: torch.device, allow_pickle: bool = False) -> ExportedPolicy:
    """Load a directory made by ``export_policy``; raises PolicyError in one line when it is not usable.

    The graph must have the hash that the manifest says, and is run once on three rows. ``allow_pickle`` is needed
    for kind pt2, see ``pt2_graph``.
    """
    if not directory.is_dir():
        raise PolicyError(f"no directory '{directory}'; give exported:PATH of one made by export_policy")
    manifest = read_manifest(directory)
    content = _read_graph(directory, manifest.graph)
    where = f"graph '{directory / manifest.graph.file}'"
    if manifest.graph.kind == "onnx":
        graph: GraphRunner = load_onnx(content, where, manifest.graph.output, device)
    else:
        graph = load_pt2(content, where, device, allow_pickle)
    if set(graph.inputs) != set(manifest.inputs):
        raise PolicyError(
            f"{where} takes the inputs {sorted(graph.inputs)}, its manifest names {sorted(manifest.inputs)}; "
            f"correct {MANIFEST}"
        )
    policy = ExportedPolicy(manifest, graph, device)
    _try(policy, where)
    return policy


def _read_graph(directory: Path, graph: Graph) -> bytes:
    """Return what is hashed, so that nothing else is loaded."""
    path = (directory / graph.file).resolve()
    if path.parent != directory.resolve():
        raise PolicyError(
            f"graph '{graph.file}' must lie in '{directory}' itself; correct graph.file in {MANIFEST}"
        )
    if not path.is_file():
        raise PolicyError(f"'{directory}' has no graph '{graph.file}'; export the policy again")
    size, largest = path.stat().st_size, LARGEST_FILE[graph.kind]
    if size > largest:
        raise PolicyError(f"graph '{path}' has {size} bytes, more than the {largest} of kind {graph.kind}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"graph '{path}' cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != graph.sha256:
        raise PolicyError(
            f"graph '{path}' has sha256 {found[:16]}..., its manifest says '{graph.sha256[:16]}...'; it was "
            "changed or damaged, export or copy it again"
        )
    return content


def _try(policy: ExportedPolicy, where: str) -> None:
    """Run three grey rows: a graph that does not fit its manifest must not be found out on the robot."""
    manifest, device = policy.manifest, policy.device
    images = {
        camera.name: torch.full((1, 3, *camera.resize.size), 0.5, device=device)
        for camera in manifest.cameras
    }
    inputs = {}
    if manifest.state is not None:
        mean = manifest.state.mean or (0.0,) * len(manifest.state.names)
        inputs[manifest.state.input] = torch.tensor(mean, device=device)[None]
    if manifest.instruction is not None:
        words = torch.full((1, manifest.instruction.max_words), UNKNOWN_WORD, device=device)
        inputs[manifest.instruction.input] = words
    rows = {name: image.expand(TRIAL_ROWS, -1, -1, -1) for name, image in images.items()}
    try:
        with torch.inference_mode():
            policy.run_pixels(Prepared(images, inputs), rows, policy.sample_noise(torch.Generator()))
    except PolicyError:
        raise
    except RuntimeError as error:
        raise PolicyError(
            f"{where} does not run on {TRIAL_ROWS} rows of what its manifest says: {error}"
        ) from error
