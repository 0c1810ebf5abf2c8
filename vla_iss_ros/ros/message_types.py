# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Message classes by the names that bags and the ROS graph use."""

from __future__ import annotations

import importlib
from typing import Any


def import_message_type(name: str) -> Any:
    """Return the class of ``package/msg/Name``; raises ValueError when its package is not installed here."""
    package, _, rest = name.partition("/")
    if not package.isidentifier() or not rest.startswith("msg/") or not rest[4:].isidentifier():
        raise ValueError(f"message type must be package/msg/Name, got '{name}'")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), rest[4:])
    except (ImportError, AttributeError):
        raise ValueError(f"message type '{name}' is not installed here") from None
