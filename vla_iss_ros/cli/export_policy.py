# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``export_policy``: write a policy as a manifest and its graphs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.exporting import SPACES, export_policy
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.manifest_graphs import FILE_KINDS

PROGRAM = "export_policy"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after one line on stderr when the policy cannot be exported."""
    options = _parser().parse_args(arguments)
    try:
        written = export_policy(load_policy(options.policy, "cpu"), options.out, options.kind, options.space)
    except PolicyError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    print(
        f"{PROGRAM}: wrote {options.policy} as {options.kind}, {written.bytes / 1e6:.2f} MB, to {options.out}; "
        f"largest difference from the original {written.difference:.0e} (normalised action); "
        f"use it as policy exported:{options.out}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Write a policy as a directory with a manifest and its graphs."
    )
    parser.add_argument(
        "--policy", default="builtin", metavar="TYPE[:PATH]", help="policy to export (%(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="directory to write; must be new"
    )
    parser.add_argument(
        "--kind",
        choices=FILE_KINDS,
        default="onnx",
        help="onnx, or pt2 (torch.export), which only loads where allow_pickle is set (%(default)s)",
    )
    parser.add_argument(
        "--space",
        choices=SPACES,
        default=SPACES[0],
        help="token: two graphs, encode and act, explained in pixel and token space; pixel: one graph (%(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
