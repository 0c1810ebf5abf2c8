# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Put something else in the place of a network's part for the time of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

ABSENT = object()


class Answering(nn.Module):
    """A module that answers with what ``answer`` gives for its input."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        super().__init__()
        self._answer = answer

    def forward(self, value: Any) -> Any:
        """Return the answer."""
        return self._answer(value)


@contextmanager
def shadowed(owner: Any, **parts: Any) -> Iterator[None]:
    """Set attributes of ``owner`` (modules, or functions over methods) and take them back at the end."""
    before = {name: _own(owner, name) for name in parts}
    try:
        for name, part in parts.items():
            setattr(owner, name, part)
        yield
    finally:
        for name, part in before.items():
            if part is ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, part)


def _own(owner: Any, name: str) -> Any:
    """Return what the object itself holds under ``name``, not its class."""
    if name in getattr(owner, "_modules", {}):
        return owner._modules[name]
    return vars(owner).get(name, ABSENT)
