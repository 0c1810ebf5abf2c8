# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Spin a node until it is asked to end, and end it in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import Executor
from rclpy.signals import SignalHandlerOptions

from vla_iss_ros.ros.executor import PoolExecutor
from vla_iss_ros.ros.worker import one_line

THREADS = 4


def run(make_node: Callable[[], Any], arguments: list[str] | None, requested: threading.Event) -> int:
    """Run the node until ``requested`` is set; return the exit status.

    The node gets ``requested`` by ``end_with`` and may set it; ``close`` comes before the context's end.
    """
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        node = make_node()
    except Exception as error:
        rclpy.logging.get_logger("vla_iss_ros").fatal(one_line(error))
        rclpy.try_shutdown()
        return 1
    node.end_with(requested)
    ended = threading.Event()
    executor = PoolExecutor(THREADS, lambda error: _log(node, error, ended))
    executor.add_node(node)
    spinning = threading.Thread(target=_spin, args=(executor, node, ended), name="executor", daemon=True)
    spinning.start()
    requested.wait()
    node.close()
    ended.set()
    idle = executor.shutdown(timeout_sec=0.5)
    spinning.join(0.5)
    if idle and not spinning.is_alive():
        node.destroy_node()
        rclpy.try_shutdown()
    return int(getattr(node, "exit_status", 0))


def _spin(executor: Executor, node: Any, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            executor.spin_once()
        except Exception as error:
            _log(node, error, ended)


def _log(node: Any, error: BaseException, ended: threading.Event) -> None:
    """Log what a callback raised; it does not end the node."""
    if not ended.is_set():
        node.get_logger().error(f"a callback failed: {one_line(error)}")
