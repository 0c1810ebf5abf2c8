# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Options of every command that loads a policy."""

from __future__ import annotations

import argparse

from vla_iss_ros.settings import BY_NAME

PERMISSIONS = ("allow_pickle", "allow_remote_code", "allow_unshared_noise")


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Add --policy, --device and what a policy may be allowed; ``Permissions.of`` reads the latter."""
    parser.add_argument("--policy", default="builtin", metavar="TYPE[:PATH]", help="(%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (%(default)s)")
    for name in PERMISSIONS:
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, action="store_true", help=BY_NAME[name].description)
