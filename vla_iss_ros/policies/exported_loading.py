# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Load an exported policy: every graph must have the hash that its manifest says, and run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from vla_iss_ros.iss.observation import Prepared
from vla_iss_ros.iss.token_cells import TokenCells
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.exported import ExportedPolicy, ExportedTokenPolicy, GraphRunner
from vla_iss_ros.policies.manifest import MANIFEST, Manifest, read_manifest
from vla_iss_ros.policies.manifest_graphs import Graph
from vla_iss_ros.policies.observing import UNKNOWN_WORD
from vla_iss_ros.policies.onnx_graph import load_onnx
from vla_iss_ros.policies.pt2_graph import load_pt2

# Of a protobuf message, which an ONNX file is; and what a graph with the weights of a large policy may take.
LARGEST_FILE = {"onnx": 2 * 2**30, "pt2": 64 * 2**30}
TRIAL_ROWS = 3


def load_exported(directory: Path, device: torch.device, allow_pickle: bool = False) -> ExportedPolicy:
    """Load a directory made by ``export_policy``; raises PolicyError in one line when it is not usable.

    Every graph must have the hash that the manifest says, and is run once on three rows. ``allow_pickle`` is needed
    for kind pt2, see ``pt2_graph``.
    """
    if not directory.is_dir():
        raise PolicyError(f"no directory '{directory}'; give exported:PATH of one made by export_policy")
    manifest = read_manifest(directory)
    graphs = [_load_graph(directory, graph, device, allow_pickle) for graph in manifest.graphs]
    where = " and ".join(f"'{directory / graph.file}'" for graph in manifest.graphs)
    policy: ExportedPolicy
    if manifest.tokens is None:
        _refuse_inputs(f"graph {where}", graphs[0], set(manifest.inputs), set(manifest.inputs))
        policy = ExportedPolicy(manifest, graphs[0], device)
    else:
        encoder, actor = graphs
        _refuse_pair(manifest, encoder, actor)
        policy = ExportedTokenPolicy(manifest, encoder, actor, device)
    _try(policy, f"graph {where}")
    return policy


def _load_graph(directory: Path, graph: Graph, device: torch.device, allow_pickle: bool) -> GraphRunner:
    content = _read_graph(directory, graph)
    where = f"graph '{directory / graph.file}'"
    if graph.kind == "onnx":
        return load_onnx(content, where, graph.output, device)
    return load_pt2(content, where, device, allow_pickle)


def _refuse_pair(manifest: Manifest, encoder: GraphRunner, actor: GraphRunner) -> None:
    """Refuse graphs that do not fit together; state and words may go into either, noise into ``act`` alone."""
    assert manifest.tokens is not None
    cameras = {camera.input for camera in manifest.cameras}
    noise = set() if manifest.noise is None else {manifest.noise.input}
    both = set(manifest.inputs) - cameras - noise
    _refuse_inputs(f"graph encode '{manifest.tokens.encode.file}'", encoder, cameras, cameras | both)
    tokens = {manifest.tokens.input} | noise
    _refuse_inputs(f"graph act '{manifest.tokens.act.file}'", actor, tokens, tokens | both)
    unused = both - {*encoder.inputs, *actor.inputs}
    if unused:
        raise PolicyError(
            f"neither graph of policy '{manifest.name}' takes '{min(unused)}', which its manifest names; "
            f"correct {MANIFEST}"
        )


def _refuse_inputs(where: str, graph: GraphRunner, needed: set[str], allowed: set[str]) -> None:
    if needed <= set(graph.inputs) <= allowed:
        return
    perhaps = sorted(allowed - needed)
    raise PolicyError(
        f"{where} takes the inputs {sorted(graph.inputs)}, its manifest names {sorted(needed)}"
        f"{f' and perhaps {perhaps}' if perhaps else ''}; correct {MANIFEST}"
    )


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
    base = _grey(policy)
    rows = {name: image.expand(TRIAL_ROWS, -1, -1, -1) for name, image in base.images.items()}
    try:
        with torch.inference_mode():
            policy.run_pixels(base, rows, policy.sample_noise(torch.Generator()))
            if isinstance(policy, ExportedTokenPolicy):
                TokenCells.over(policy.encode(base), 1)
    except PolicyError:
        raise
    except (RuntimeError, ValueError) as error:
        raise PolicyError(
            f"{where} does not run on {TRIAL_ROWS} rows of what its manifest says: {error}"
        ) from error


def _grey(policy: ExportedPolicy) -> Prepared:
    """Return one grey observation of an unknown word, at the mean state."""
    manifest, device = policy.manifest, policy.device
    images, content, inputs = {}, {}, {}
    for camera in manifest.cameras:
        images[camera.name] = torch.full((1, 3, *camera.resize.size), 0.5, device=device)
        if camera.resize.content is not None:
            content[camera.name] = camera.resize.content
    if manifest.state is not None:
        mean = manifest.state.mean or (0.0,) * len(manifest.state.names)
        inputs[manifest.state.input] = torch.tensor(mean, device=device)[None]
    if manifest.instruction is not None:
        words = torch.full((1, manifest.instruction.max_words), UNKNOWN_WORD, device=device)
        inputs[manifest.instruction.input] = words
    return Prepared(images, inputs, content, ("word",))
