# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a setting is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vla_iss_ros.settings.shown import shown


@dataclass(frozen=True)
class Setting:
    """One setting; ``fixed`` ones can change only while the node is not configured."""

    name: str
    default: Any
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    fixed: bool = False

    def check(self, value: Any) -> Any:
        """Return ``value`` in the setting's own type; raises ValueError with the value and what is allowed."""
        kind = type(self.default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            self._check_range(value)  # first, for an int can be too large for a float
            value = float(value)
        if kind is list and isinstance(value, (Sequence,)) and not isinstance(value, str):
            value = list(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{self.name} must be {kind.__name__}, got {shown(value)}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name} must be one of {', '.join(self.choices)}, got {shown(value)}")
        if kind is list:
            self._check_entries(value)
        if kind in (int, float):
            self._check_range(value)
        return value

    def _check_entries(self, entries: list[Any]) -> None:
        kind = type(self.default[0])
        # Not isinstance, for which True is an int.
        if any(type(entry) is not kind for entry in entries):
            raise ValueError(f"{self.name} must be a list of {kind.__name__}, got {shown(entries)}")

    def _check_range(self, value: float) -> None:
        low = self.minimum is not None and not value >= self.minimum
        high = self.maximum is not None and not value <= self.maximum
        if low or high or value != value:
            raise ValueError(f"{self.name} must be in [{self.minimum}, {self.maximum}], got {shown(value)}")
