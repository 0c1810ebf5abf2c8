# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``openpi_server_shim``: serve an openpi policy so that it can be intervened on."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.openpi.server import Shim, noise_shape_of, serve
from vla_iss_ros.policies.openpi.torch_batches import batched

PROGRAM = "openpi_server_shim"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return 0, or 2 after one line on stderr when the policy cannot be served."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        policy = batched(_load(options.policy))
        server = serve(Shim(policy, _noise_shape(options, policy), options.rows), options.host, options.port)
    except PolicyError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    with server:
        # The port is the system's choice where 0 was asked for.
        print(
            f"{PROGRAM}: serving {options.policy} at {options.host}:{server.socket.getsockname()[1]}",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"{PROGRAM}: ended")
    return 0


def _load(name: str) -> Any:
    """Call the function that the user named; its module may lie in the working directory, as for ``python -m``."""
    module, _, function = name.partition(":")
    if not module or not function:
        raise PolicyError(f"policy must be MODULE:FUNCTION, got '{name}'")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        policy = getattr(importlib.import_module(module), function)()
    except Exception as error:  # code of others may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise PolicyError(f"{name} did not load a policy: {reason}") from error
    if not callable(getattr(policy, "infer", None)):
        raise PolicyError(f"{name} must return a policy with infer(observation), got {type(policy).__name__}")
    return policy


def _noise_shape(options: argparse.Namespace, policy: Any) -> tuple[int, ...] | None:
    if options.deterministic:
        return None
    shape = tuple(options.noise_shape) if options.noise_shape else noise_shape_of(policy)
    if shape is None or min(shape) < 1:
        raise PolicyError(
            "the policy does not say the shape of its noise; give --noise-shape HORIZON DIMENSIONS, or --deterministic "
            "if it draws none"
        )
    return shape


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Serve an openpi policy that takes batches of variants and its sampling noise (policy "
        "openpi:HOST:PORT); other clients are answered as openpi's own server does.",
    )
    parser.add_argument(
        "policy", metavar="MODULE:FUNCTION", help="function without arguments that returns the policy"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free (%(default)s)")
    parser.add_argument(
        "--rows", type=int, default=64, help="variants in one run of the policy (%(default)s)"
    )
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument(
        "--noise-shape",
        type=int,
        nargs="+",
        metavar="N",
        help="of one row; default: as the policy's model says",
    )
    noise.add_argument("--deterministic", action="store_true", help="the policy draws no noise")
    return parser


if __name__ == "__main__":
    sys.exit(main())
