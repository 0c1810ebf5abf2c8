# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Start Ray or join it. Ray is imported when it is used, here and nowhere else."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CONNECTING = 10.0  # s
OBJECT_STORE = 256 << 20  # bytes; it holds a few pieces
# For a local session; Ray reads some when it is imported, and its processes inherit them. The first one makes it listen
# on the loopback alone, which Ray offers under this name only (https://github.com/ray-project/ray/issues/18730).
LOCAL = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_enable_metrics_collection": "0",
}


@contextmanager
def local_session(cpus: int, gpus: int | None = None) -> Iterator[Any]:
    """Run Ray on this computer alone and give the module; ``gpus`` None: those that there are.

    It listens on the loopback, provided that Ray was not imported before. Raises RuntimeError in one line when it does
    not start.
    """
    for name, value in LOCAL.items():
        os.environ.setdefault(name, value)
    options = {"address": "local", "num_cpus": cpus, "num_gpus": gpus, "include_dashboard": False}
    with _initialised(**options, _node_ip_address="127.0.0.1", object_store_memory=OBJECT_STORE) as ray:
        yield ray


@contextmanager
def joined_session(address: str) -> Iterator[Any]:
    """Join the cluster at ``address`` and give the module; raises RuntimeError in one line when there is none."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host:
        # Ray itself would try for many minutes.
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECTING).close()
        except (OSError, ValueError) as error:
            raise RuntimeError(f"no Ray cluster answers at '{address}': {error}") from error
    with _initialised(address=address) as ray:
        yield ray


@contextmanager
def _initialised(**options: Any) -> Iterator[Any]:
    ray = _import_ray()
    main = threading.current_thread() is threading.main_thread()
    # Ray puts a handler of its own in place.
    before = signal.getsignal(signal.SIGTERM) if main else None
    try:
        ray.init(**options, logging_level=logging.ERROR, log_to_driver=False)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise RuntimeError(f"Ray does not start: {first_line(error)}") from error
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
    try:
        yield ray
    finally:
        ray.shutdown()


def _import_ray() -> Any:
    """Return the module; raises ImportError that names the extra."""
    try:
        import ray
    except ImportError as error:
        raise ImportError("engine ray needs Ray: pip install 'vla_iss_ros[ray]'") from error
    return ray


def first_line(error: BaseException) -> str:
    """Return the first line of an error that has something on it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
