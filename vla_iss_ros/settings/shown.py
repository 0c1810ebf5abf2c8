# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Values in error texts: on one line and short, however much they hold."""

from __future__ import annotations

import reprlib
from typing import Any

LONGEST = 120


class _Brief(reprlib.Repr):
    """Looks at few entries and two levels, so that aliases within aliases are not written out."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxother = 80

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write out numbers of more than some thousand digits.
        return super().repr_int(x, level) if x.bit_length() <= 256 else f"<int of {x.bit_length()} bits>"


_BRIEF = _Brief()


def shown(value: Any) -> str:
    """Return ``value`` as ``repr`` writes it, cut to :data:`LONGEST` characters."""
    text = _BRIEF.repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
