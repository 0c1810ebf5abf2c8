# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The prompt of OpenVLA, and which of its tokens are which word of the instruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# What training put after "Out:"; the tokeniser leaves it away.
EMPTY = 29871


@dataclass(frozen=True)
class Prompt:
    """Token ids with the one that begins a text first; words of the instruction and their tokens' span.

    ``word_of`` tells the word of each token from ``start`` to ``stop``.
    """

    ids: tuple[int, ...]
    words: tuple[str, ...]
    word_of: tuple[int, ...]
    start: int
    stop: int


def text_of(instruction: str, version: str) -> tuple[str, int]:
    """Return the prompt, and where in it the instruction, in lower case, begins."""
    before = "In: What action should the robot take to "
    after = "?\nOut:"
    if "v01" in version:
        before = (
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
            "detailed, and polite answers to the user's questions. USER: What action should the robot take to "
        )
        after = "? ASSISTANT:"
    return before + instruction.lower() + after, len(before)


def prompt_of(instruction: str, tokenizer: Any, version: str) -> Prompt:
    """Tokenise; raises ValueError when no token belongs to the instruction.

    A token belongs to the word in which it ends; words in which none ends are left out.
    """
    text, begin = text_of(instruction, version)
    entry = tokenizer(text, return_offsets_mapping=True, add_special_tokens=True)
    ids = [int(value) for value in entry["input_ids"]]
    spans, place = [], begin
    for word in instruction.lower().split():
        first = text.index(word, place)
        place = first + len(word)
        spans.append((word, first, place))
    owners = [_owner(offsets, spans) for offsets in entry["offset_mapping"]]
    inside = [index for index, owner in enumerate(owners) if owner is not None]
    if not inside:
        raise ValueError(f"no token of the prompt belongs to the instruction '{instruction}'")
    start, stop = inside[0], inside[-1] + 1
    # Between two words there can be a token of white space alone; it goes with the word before.
    for index in range(start, stop):
        if owners[index] is None:
            owners[index] = owners[index - 1]
    used = sorted({owner for owner in owners[start:stop] if owner is not None})
    word_of = tuple(used.index(owner) for owner in owners[start:stop] if owner is not None)
    if ids[-1] != EMPTY:
        ids.append(EMPTY)
    return Prompt(tuple(ids), tuple(spans[index][0] for index in used), word_of, start, stop)


def _owner(offsets: tuple[int, int], spans: list[tuple[str, int, int]]) -> int | None:
    begin, end = offsets
    if end <= begin:  # a special token
        return None
    for index, (_, first, last) in enumerate(spans):
        if first < end <= last:
            return index
    return None
