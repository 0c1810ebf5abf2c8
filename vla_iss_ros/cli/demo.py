# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Show two policies on the sample bag: real nodes and topics, recorded; then figures and pictures."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from vla_iss_ros.cli.demo_run import run
from vla_iss_ros.cli.demo_session import NodeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse arguments and run; return the exit status."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("demo_output"), help="directory; an earlier demo's is replaced"
    )
    parser.add_argument("--quick", action="store_true", help="a third of the frames")
    parser.add_argument("--seed", type=int, default=0, help="seed of the intervals' bootstrap")
    options = parser.parse_args(arguments)
    # A termination request ends the nodes in order, like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        print(run(options.out, options.quick, options.seed), flush=True)
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    except (NodeError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
