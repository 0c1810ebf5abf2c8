# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Executable ``bag_player``: play a recorded bag to topics."""

from __future__ import annotations

import sys
from typing import Any

from vla_iss_ros.nodes.starting import start


def load() -> Any:
    """Import the node; this takes the most of the start."""
    from vla_iss_ros.ros.bag_player import BagPlayer

    return BagPlayer


def main(arguments: list[str] | None = None) -> int:
    """Run the node until it is stopped; return the exit status."""
    return start(load, arguments)


if __name__ == "__main__":
    sys.exit(main())
