# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The graphs that a manifest names, and how the tokens between two of them are laid out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, KINDS
from vla_iss_ros.policies.fields import Fields

FILE_KINDS = ("onnx", "pt2")


@dataclass(frozen=True)
class Graph:
    """The file of a graph beside the manifest, its ``kind`` (onnx or pt2), hash and output's name."""

    file: str
    kind: str
    sha256: str
    output: str


@dataclass(frozen=True)
class SegmentEntry:
    """Tokens ``start`` to ``stop`` of one thing; ``name`` and ``grid`` (rows, columns) of a camera's."""

    kind: str
    start: int
    stop: int
    name: str = ""
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class TokenEntry:
    """What lies between the graphs ``encode`` and ``act``: tokens float32 [N, *shape], shape (L, D).

    ``input``: the input of ``act`` for them. Tokens in none of the ``segments`` are never replaced. The instruction's
    segment has one token a word, ``max_words`` of them; absent words (index 0) are none of its tokens, and ``act``
    must pass over them.
    """

    encode: Graph
    act: Graph
    input: str
    shape: tuple[int, int]
    segments: tuple[SegmentEntry, ...]


def read_graph(fields: Fields) -> Graph:
    """Read one graph; raises PolicyError for what is wrong."""
    graph = Graph(
        fields.text("file"), fields.choice("kind", FILE_KINDS), fields.text("sha256"), fields.text("output")
    )
    # A graph of a fixed batch could only be run row by row, or on rows that nobody needs.
    fields.choice("batch", ("dynamic",))
    fields.finish()
    return graph


def read_tokens(graphs: Fields, fields: Fields, cameras: Sequence[str], max_words: int | None) -> TokenEntry:
    """Read the two graphs and the tokens between them; raises PolicyError for segments that do not fit.

    ``max_words``: of the instruction, None without one.
    """
    encode, act = read_graph(graphs.child("encode")), read_graph(graphs.child("act"))
    graphs.finish()
    length, width = fields.wholes("shape", 2)
    segments: list[SegmentEntry] = []
    for child in fields.children("segments"):
        segments.append(_segment(child, length, segments, cameras, max_words))
    if not any(segment.kind == CAMERA for segment in segments):
        raise fields.wrong("segments", "segments with at least one camera", [one.kind for one in segments])
    entry = TokenEntry(encode, act, fields.text("input"), (length, width), tuple(segments))
    fields.finish()
    return entry


def weights_hash(graphs: Sequence[Graph]) -> str:
    """Return 16 characters that stand for all graphs: the only one's hash, or the hash of all."""
    if len(graphs) == 1:
        return graphs[0].sha256[:16]
    return hashlib.sha256("".join(graph.sha256 for graph in graphs).encode()).hexdigest()[:16]


def _segment(
    fields: Fields,
    length: int,
    before: Sequence[SegmentEntry],
    cameras: Sequence[str],
    max_words: int | None,
) -> SegmentEntry:
    kind = fields.choice("kind", KINDS)
    start, name, grid = fields.whole("start", lowest=0), "", None
    if kind == CAMERA:
        name = fields.choice("name", cameras)
        rows, columns = fields.wholes("grid", 2)
        grid, count = (rows, columns), rows * columns
    elif kind == INSTRUCTION:
        if max_words is None:
            raise fields.wrong("kind", "of something that the graphs take; instruction is null", kind)
        count = max_words
    else:
        count = fields.whole("count")
    segment = SegmentEntry(kind, start, start + count, name, grid)
    if segment.stop > length or any(start < other.stop and other.start < segment.stop for other in before):
        raise fields.wrong(
            "start",
            f"so that its {count} tokens lie within the {length} of tokens.shape and apart from others",
            start,
        )
    if kind in (CAMERA, INSTRUCTION) and (kind, name) in [(other.kind, other.name) for other in before]:
        raise fields.wrong("kind", "a camera or the instruction once", f"{kind} {name}".strip())
    fields.finish()
    return segment
