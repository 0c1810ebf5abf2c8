# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Strict reading of JSON objects: what is missing, wrong or unknown is said in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vla_iss_ros.policies.errors import PolicyError

LONGEST = 80  # characters of a wrong value that a message shows
MOST = 1_000_000  # no size in a manifest is near it
LARGEST = 3.4e38  # of float32


class Fields:
    """One JSON object, read key by key; ``where`` opens every message. Raises PolicyError for what is no object."""

    def __init__(self, values: Any, where: str, place: str = "") -> None:
        self._where, self._place = where, place
        if not isinstance(values, dict):
            raise PolicyError(f"{where}: {place or 'the whole'} must be an object, got {_shown(values)}")
        self._left = dict(values)

    def wrong(self, key: str, wanted: str, value: Any) -> PolicyError:
        """Return the error that ``key`` must be ``wanted``."""
        return PolicyError(f"{self._where}: {self._place}{key} must be {wanted}, got {_shown(value)}")

    def finish(self) -> None:
        """Raise PolicyError for a key that nobody has read, such as a misspelt one."""
        if self._left:
            key = next(iter(self._left))
            raise PolicyError(f"{self._where}: {self._place}{key} is unknown; take it out or correct it")

    def text(self, key: str) -> str:
        """Return a string that is not empty."""
        return self._text(key, self._take(key))

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """Return one of ``allowed``."""
        value = self._take(key)
        if value not in allowed:
            raise self.wrong(key, f"one of {', '.join(allowed)}", value)
        return str(value)

    def texts(self, key: str, count: int | None = None) -> tuple[str, ...]:
        """Return a list of strings, ``count`` of them or at least one."""
        return tuple(self._text(key, value) for value in self._list(key, "strings", count))

    def whole(self, key: str, lowest: int = 1) -> int:
        """Return a whole number from ``lowest``."""
        return self._whole(key, self._take(key), lowest)

    def wholes(self, key: str, count: int | None = None, lowest: int = 1) -> tuple[int, ...]:
        """Return a list of whole numbers from ``lowest``."""
        values = self._list(key, "whole numbers", count)
        return tuple(self._whole(key, value, lowest) for value in values)

    def number(self, key: str) -> float:
        """Return a finite number."""
        return self._number(key, self._take(key))

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """Return a list of ``count`` finite numbers."""
        return tuple(self._number(key, value) for value in self._list(key, "numbers", count))

    def is_null(self, key: str) -> bool:
        """Tell whether ``key`` is there and null; it is read then."""
        if key in self._left and self._left[key] is None:
            del self._left[key]
            return True
        return False

    def child(self, key: str) -> Fields:
        """Return an object inside this one."""
        return Fields(self._take(key), self._where, f"{self._place}{key}.")

    def optional_child(self, key: str) -> Fields | None:
        """Return an object inside this one, or None for null; the key must be there."""
        return None if self.is_null(key) else self.child(key)

    def children(self, key: str) -> list[Fields]:
        """Return a list of objects, at least one."""
        values = self._list(key, "objects", None)
        return [
            Fields(value, self._where, f"{self._place}{key}[{index}].") for index, value in enumerate(values)
        ]

    def _take(self, key: str) -> Any:
        if key not in self._left:
            raise PolicyError(f"{self._where} lacks {self._place}{key}")
        return self._left.pop(key)

    def _list(self, key: str, what: str, count: int | None) -> list[Any]:
        values = self._take(key)
        if not isinstance(values, list) or not values or (count is not None and len(values) != count):
            raise self.wrong(key, f"a list of {count or 'one or more'} {what}", values)
        return values

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "a string that is not empty", value)
        return value

    def _whole(self, key: str, value: Any, lowest: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= MOST:
            raise self.wrong(key, f"a whole number from {lowest} to {MOST}", value)
        return value

    def _number(self, key: str, value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= LARGEST:
            raise self.wrong(key, "a finite number", value)
        return float(value)


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
