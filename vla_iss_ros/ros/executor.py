# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""An executor whose callbacks may take long without holding up the others, and that never waits busily."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rclpy.executors import (
    ConditionReachedException,
    Executor,
    ExternalShutdownException,
    ShutdownException,
    TimeoutException,
)

# Callbacks that only keep a message end well within it, so that they never overlap with the next wait.
SHORT = 0.005


class PoolExecutor(Executor):
    """Runs callbacks in a pool of threads, each of them once.

    rclpy's MultiThreadedExecutor hands a callback that has not begun yet to its pool again and again, without waiting
    in between: it then holds the interpreter's lock, and images wait for seconds
    (https://github.com/ros2/rclpy/issues/1452; mended in rclpy 10.0.4, after Jazzy and Kilted).
    """

    def __init__(self, threads: int, on_error: Callable[[BaseException], None], context: Any = None) -> None:
        """``threads``: how many callbacks may run side by side; ``on_error`` gets what a callback raised."""
        super().__init__(context=context)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="callbacks")
        self._on_error = on_error
        self._lock = threading.Lock()
        self._handed_over: set[Any] = set()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback that is ready and have it run; it may still run on return when it takes long."""
        try:
            task, _, _ = self.wait_for_ready_callbacks(timeout_sec)
        except (ConditionReachedException, ExternalShutdownException, ShutdownException, TimeoutException):
            return
        with self._lock:
            waits_already = task in self._handed_over
            self._handed_over.add(task)
        if waits_already:  # for a thread that is free
            threading.Event().wait(SHORT)
            return
        ended = threading.Event()
        self._pool.submit(self._run, task, ended)
        ended.wait(SHORT)

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Run no more callbacks; returns whether all that ran have ended within ``timeout_sec`` seconds."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        return bool(super().shutdown(timeout_sec))

    def _run(self, task: Any, ended: threading.Event) -> None:
        try:
            task()
            if task.done() and (error := task.exception()) is not None:
                self._on_error(error)
        finally:
            with self._lock:
                self._handed_over.discard(task)
            ended.set()
