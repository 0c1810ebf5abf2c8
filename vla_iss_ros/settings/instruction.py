# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an instruction may hold, from wherever it comes."""

from __future__ import annotations

import unicodedata

LONGEST = 4096
_REFUSED = ("Cc", "Cs")  # control characters and half surrogates


def one_spaced(text: str) -> str:
    """Return ``text`` with every run of white space, line breaks too, as one space."""
    return " ".join(text.split())


def instruction_problem(text: str) -> tuple[str, str] | None:
    """Return what is wrong with an instruction, as a reason in two words and a line, or None.

    More than 4096 characters are refused, and control characters: a policy's tokeniser would read them, and people
    would not see them.
    """
    if len(text) > LONGEST:
        return "too long", (
            f"instruction must have at most {LONGEST} characters, got {len(text)}: {text[:40]!r}..."
        )
    for position, character in enumerate(one_spaced(text)):
        if unicodedata.category(character) in _REFUSED:
            line = f"instruction holds the control character {character!r} at position {position}"
            return "control character", line
    return None
