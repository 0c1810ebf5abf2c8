# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a policy's vision tower and word embedding made of one observation, token by token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

CAMERA = "camera"
INSTRUCTION = "instruction"
STATE = "state"
TEMPLATE = "template"
KINDS = (CAMERA, INSTRUCTION, STATE, TEMPLATE)


@dataclass(frozen=True)
class Segment:
    """Neighbouring tokens that stand for one thing.

    ``kind``: camera, instruction, state (numbers of the state written as text) or template (text that is always
    there). ``start`` and ``stop``: its tokens. ``name``: a camera's. ``grid``: rows and columns of a camera's tokens,
    which are in row-major order. ``content`` (top, left, height, width), in tokens, may be fractions: the part of that
    grid which shows the camera's image where padding surrounds it; None is all of it. ``words``: an instruction's, and
    ``word_of`` the index in ``words`` that each of its tokens belongs to (a word may be several tokens).
    """

    kind: str
    start: int
    stop: int
    name: str = ""
    grid: tuple[int, int] | None = None
    content: tuple[float, float, float, float] | None = None
    words: tuple[str, ...] = ()
    word_of: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a segment's kind must be one of {', '.join(KINDS)}, got '{self.kind}'")
        if not 0 <= self.start < self.stop:
            raise ValueError(f"a segment needs 0 <= start < stop, got {self.start} and {self.stop}")
        if self.kind == CAMERA:
            self._check_grid()
        if self.kind == INSTRUCTION:
            self._check_words()

    @property
    def count(self) -> int:
        """Number of tokens."""
        return self.stop - self.start

    def _check_grid(self) -> None:
        if self.grid is None or self.grid[0] * self.grid[1] != self.count:
            raise ValueError(
                f"segment of camera '{self.name}' has {self.count} tokens, its grid is {self.grid}; they must agree"
            )
        if self.content is None:
            return
        top, left, height, width = self.content
        inside = top >= 0 and left >= 0 and top + height <= self.grid[0] and left + width <= self.grid[1]
        if not inside or height <= 0 or width <= 0:
            raise ValueError(
                f"content of camera '{self.name}' must lie within {self.grid}, got {self.content}"
            )

    def _check_words(self) -> None:
        used = set(self.word_of)
        if len(self.word_of) != self.count or used != set(range(len(self.words))):
            raise ValueError(
                f"every token of an instruction belongs to a word and every word has tokens, got {self.count} tokens, "
                f"{len(self.words)} words and {list(self.word_of)}"
            )


@dataclass(frozen=True)
class Encoded:
    """One observation after the vision tower and the word embedding, before anything mixes tokens.

    ``tokens`` [1, L, D]. ``segments`` do not overlap; tokens in none of them (padding, separators) are never replaced.
    ``inputs``: whatever else the policy needs to act, opaque to the method.
    """

    tokens: Tensor
    segments: tuple[Segment, ...]
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.tokens.ndim != 3 or len(self.tokens) != 1:
            raise ValueError(f"tokens must be [1, L, D], got {list(self.tokens.shape)}")
        end = 0
        for segment in sorted(self.segments, key=lambda segment: segment.start):
            if segment.start < end or segment.stop > self.tokens.shape[1]:
                raise ValueError(
                    f"segments must lie apart within {self.tokens.shape[1]} tokens, got {segment.kind} "
                    f"'{segment.name}' at {segment.start} to {segment.stop}"
                )
            end = segment.stop


@dataclass(frozen=True)
class TokenScores:
    """A number for every token of an :class:`Encoded`, float32 [L], and in words where it comes from."""

    values: Tensor
    description: str
