# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The manifest of an exported policy: everything about it but its graphs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.fields import Fields
from vla_iss_ros.policies.manifest_graphs import Graph, TokenEntry, read_graph, read_tokens, weights_hash
from vla_iss_ros.policies.resizing import RULES, Resize

MANIFEST = "manifest.json"
# One graph from images to actions; two graphs, with tokens between them.
FORMAT, TOKEN_FORMAT = "vla_iss_ros.exported/1", "vla_iss_ros.exported/2"
LARGEST_MANIFEST = 8 * 2**20


@dataclass(frozen=True)
class Camera:
    """A camera, the graph's ``input`` for it (float32 [N, 3, h, w] in [0, 1]) and how its images get there."""

    name: str
    input: str
    resize: Resize


@dataclass(frozen=True)
class ActionEntry:
    """Names, units and what turns normalised actions into physical ones: times ``std`` plus ``mean``."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class StateEntry:
    """The graph's ``input`` for the state (float32 [N, S], physical units), its names and recorded mean, if known."""

    input: str
    names: tuple[str, ...]
    mean: tuple[float, ...] | None


@dataclass(frozen=True)
class InstructionEntry:
    """The graph's ``input`` for word indices (int64 [N, max_words]: 0 absent, 1 unknown, 2 the first word)."""

    input: str
    vocabulary: tuple[str, ...]
    max_words: int


@dataclass(frozen=True)
class NoiseEntry:
    """The graph's ``input`` for sampling noise (float32 [N, *shape], standard normal)."""

    input: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Manifest:
    """What an exported policy takes and gives; entries that are None are inputs that its graphs have not.

    Either ``graph`` computes it, or the two of ``tokens`` do.
    """

    name: str
    graph: Graph | None
    cameras: tuple[Camera, ...]
    horizon: int
    action: ActionEntry
    state: StateEntry | None
    instruction: InstructionEntry | None
    noise: NoiseEntry | None
    tokens: TokenEntry | None = None

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The graph, or encode and act."""
        if self.tokens is not None:
            return self.tokens.encode, self.tokens.act
        assert self.graph is not None
        return (self.graph,)

    @property
    def weights_hash(self) -> str:
        """What stands for the graphs' content, 16 characters."""
        return weights_hash(self.graphs)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what goes into the graphs, but for the tokens between them."""
        others = (self.state, self.instruction, self.noise)
        return (
            *(camera.input for camera in self.cameras),
            *(entry.input for entry in others if entry is not None),
        )


def read_manifest(directory: Path) -> Manifest:
    """Read ``manifest.json`` of a directory; raises PolicyError in one line for whatever is wrong in it."""
    path = directory / MANIFEST
    where = f"manifest '{path}'"
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise PolicyError(f"{where} has {path.stat().st_size} bytes, more than {LARGEST_MANIFEST}")
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(
            f"no readable {MANIFEST} in '{directory}': {error.strerror}; write one with export_policy"
        ) from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise PolicyError(f"{where} is not JSON: {reason}") from error
    fields = Fields(values, where)
    found = fields.text("format")
    if found not in (FORMAT, TOKEN_FORMAT):
        raise PolicyError(
            f"{where} has format '{found}', this version reads '{FORMAT}' and '{TOKEN_FORMAT}'; export it again"
        )
    manifest = _manifest(fields, found == TOKEN_FORMAT)
    fields.finish()
    names, inputs = [camera.name for camera in manifest.cameras], manifest.inputs
    if manifest.tokens is not None:
        inputs = (*inputs, manifest.tokens.input)
    if len(set(names)) < len(names) or len(set(inputs)) < len(inputs):
        raise PolicyError(
            f"{where} must name each camera and each input once, got {names} and {list(inputs)}"
        )
    return manifest


def _manifest(fields: Fields, has_tokens: bool) -> Manifest:
    graph = None if has_tokens else read_graph(fields.child("graph"))
    cameras = tuple(_camera(entry) for entry in fields.children("cameras"))
    instruction, tokens = _instruction(fields.optional_child("instruction")), None
    if has_tokens:
        names = [camera.name for camera in cameras]
        max_words = None if instruction is None else instruction.max_words
        tokens = read_tokens(fields.child("graphs"), fields.child("tokens"), names, max_words)
    return Manifest(
        name=fields.text("name"),
        graph=graph,
        cameras=cameras,
        horizon=fields.whole("horizon"),
        action=_action(fields.child("action")),
        state=_state(fields.optional_child("state")),
        instruction=instruction,
        noise=_noise(fields.optional_child("noise")),
        tokens=tokens,
    )


def _camera(fields: Fields) -> Camera:
    height, width = fields.wholes("input_size", 2)
    rule = fields.choice("resize", RULES)
    content, pad = None, 0.0
    if rule == "letterbox":
        top, left, *sides = fields.wholes("content", 4, lowest=0)
        if 0 in sides or top + sides[0] > height or left + sides[1] > width:
            raise fields.wrong("content", f"a box within {[height, width]}", [top, left, *sides])
        content, pad = (top, left, sides[0], sides[1]), fields.number("pad")
    camera = Camera(fields.text("name"), fields.text("input"), Resize((height, width), rule, content, pad))
    fields.finish()
    return camera


def _action(fields: Fields) -> ActionEntry:
    names = fields.texts("names")
    count = len(names)
    action = ActionEntry(
        names, fields.texts("units", count), fields.numbers("mean", count), fields.numbers("std", count)
    )
    if min(action.std) <= 0:
        raise fields.wrong("std", "numbers above 0", list(action.std))
    fields.finish()
    return action


def _state(fields: Fields | None) -> StateEntry | None:
    if fields is None:
        return None
    names = fields.texts("names")
    mean = None if fields.is_null("mean") else fields.numbers("mean", len(names))
    state = StateEntry(fields.text("input"), names, mean)
    fields.finish()
    return state


def _instruction(fields: Fields | None) -> InstructionEntry | None:
    if fields is None:
        return None
    entry = InstructionEntry(fields.text("input"), fields.texts("vocabulary"), fields.whole("max_words"))
    fields.finish()
    return entry


def _noise(fields: Fields | None) -> NoiseEntry | None:
    if fields is None:
        return None
    entry = NoiseEntry(fields.text("input"), fields.wholes("shape"))
    fields.finish()
    return entry
