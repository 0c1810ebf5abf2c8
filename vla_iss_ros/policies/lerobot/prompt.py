# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which tokens of a prompt are the instruction's words, which the state's digits, which the template's."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from vla_iss_ros.iss.tokens import INSTRUCTION, STATE, TEMPLATE, Segment
from vla_iss_ros.policies.errors import PolicyError

NO_WORD = -1
Offsets = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Part:
    """Characters ``start`` to ``stop`` of a prompt, of one ``kind`` of segment."""

    kind: str
    start: int
    stop: int


def plain_parts(text: str) -> tuple[Part, ...]:
    """Return the parts of a prompt that is the instruction and a line's end."""
    inside = text.strip()
    start = text.find(inside)
    return (Part(INSTRUCTION, start, start + len(inside)),) if inside else ()


def pi05_parts(text: str) -> tuple[Part, ...]:
    """Return the parts of ``Task: ..., State: ...; Action:``; raises PolicyError for another text."""
    # The instruction may hold the same words: the last ones are the template's.
    match = re.fullmatch(r"Task: (.*), State: ([-\d ]+);\nAction: ", text, re.DOTALL)
    if match is None:
        raise PolicyError(
            f"the prompt of pi05 must be 'Task: ..., State: ...;\\nAction: ', got {text[:80]!r}"
        )
    return Part(INSTRUCTION, *match.span(1)), Part(STATE, *match.span(2))


def words_of(text: str, parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the instruction's words."""
    found = [text[part.start : part.stop].split() for part in parts if part.kind == INSTRUCTION]
    return tuple(word for words in found for word in words)


def label_tokens(text: str, parts: Sequence[Part], offsets: Offsets) -> list[tuple[str, int]]:
    """Return every token's kind and the index of its word, -1 where it has none.

    ``offsets``: the characters that each token stands for. A token belongs to where its first character that is no
    space lies; one of spaces alone to the word after it. One without characters is the template's.
    """
    spans = [
        (match.start() + part.start, match.end() + part.start)
        for part in parts
        if part.kind == INSTRUCTION
        for match in re.finditer(r"\S+", text[part.start : part.stop])
    ]
    return [_label(text, parts, spans, start, stop) for start, stop in offsets]


def text_segments(labels: Sequence[tuple[str, int]], words: Sequence[str], start: int) -> list[Segment]:
    """Return neighbouring tokens of one kind as segments, the first token at ``start``.

    Words whose tokens were cut off are left out.
    """
    segments = []
    for kind, run in groupby(labels, key=lambda label: label[0]):
        owners = [word for _, word in run]
        stop = start + len(owners)
        if kind == INSTRUCTION:
            present = sorted(set(owners))
            names = tuple(words[word] for word in present)
            indices = tuple(present.index(word) for word in owners)
            segments.append(Segment(kind, start, stop, words=names, word_of=indices))
        else:
            segments.append(Segment(kind, start, stop))
        start = stop
    return segments


def _label(
    text: str, parts: Sequence[Part], spans: Sequence[tuple[int, int]], start: int, stop: int
) -> tuple[str, int]:
    inside = text[start:stop]
    if not inside:
        return TEMPLATE, NO_WORD
    first = start + len(inside) - len(inside.lstrip()) if inside.strip() else start
    kind = _first(parts, lambda part: part.start <= first < part.stop)
    if kind is None:
        return TEMPLATE, NO_WORD
    if kind.kind != INSTRUCTION:
        return kind.kind, NO_WORD
    return INSTRUCTION, next(index for index, (_, end) in enumerate(spans) if first < end)


def _first(parts: Sequence[Part], fits: Callable[[Part], bool]) -> Part | None:
    return next((part for part in parts if fits(part)), None)
