# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Executable ``policy_node``: run a policy on live topics."""

from __future__ import annotations

import sys
from typing import Any

from vla_iss_ros.nodes.starting import start


def load() -> Any:
    """Import the node; this takes the most of the start."""
    from vla_iss_ros.ros.policy_node import PolicyNode

    return PolicyNode


def main(arguments: list[str] | None = None) -> int:
    """Run the node until it is stopped; return the exit status."""
    return start(load, arguments)


if __name__ == "__main__":
    sys.exit(main())
