"""Spin a node until it is asked to end, and end it in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor, ShutdownException
from rclpy.signals import SignalHandlerOptions

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
    executor = MultiThreadedExecutor(num_threads=THREADS)
    executor.add_node(node)
    ended = threading.Event()
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
    """Spin; an exception of a callback is logged and does not end the node."""
    while not ended.is_set():
        try:
            executor.spin_once()
        except (ExternalShutdownException, ShutdownException):
            return
        except Exception as error:
            if ended.is_set():
                return
            node.get_logger().error(f"a callback failed: {one_line(error)}")
