# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Several processes on this computer, each with a policy of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing.context import SpawnContext
from multiprocessing.synchronize import Event

import torch

from vla_iss_ros.analysis.pieces import Piece
from vla_iss_ros.analysis.segment_work import Analyst, Reader, Task, analyse_segment
from vla_iss_ros.analysis.turns import Turns

AHEAD = 2  # tasks a worker that wait for it
ATTEMPTS = 3


class ProcessEngine:
    """Runs tasks in ``workers`` processes with ``threads`` torch threads each.

    The pieces are those of one process. When a worker dies, its tasks and those that waited are started again with new
    workers, up to three times in a row without a finished task between. The workers end with this process, even when it
    is killed; when the work is given up, after the frame that they are at.
    """

    def __init__(self, workers: int = 2, threads: int = 1) -> None:
        if workers < 1 or threads < 1:
            raise ValueError(f"workers and threads must be at least 1, got {workers} and {threads}")
        self._workers, self._threads = workers, threads

    def run(
        self, tasks: Sequence[Task], on_frame: Callable[[], object] = lambda: None
    ) -> Generator[tuple[Task, Piece], None, None]:
        """See :class:`vla_iss_ros.analysis.engines.Engine`; frames are told of when their segment is finished."""
        left, deaths = Turns(tasks, self._workers), 0
        while left:
            # A forked process cannot use CUDA, and inherits threads' locks.
            context = multiprocessing.get_context("spawn")
            given_up = context.Event()
            pool = self._pool(context, given_up)
            running: dict[Future[Piece], Task] = {}
            try:
                while left or running:
                    while left and len(running) < self._workers * (1 + AHEAD):
                        task = left.take()
                        with _workers_deaf_to_interrupts():
                            running[pool.submit(work, task)] = task
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        piece = future.result()
                        task, deaths = running.pop(future), 0
                        for _ in piece.rows:
                            on_frame()
                        yield task, piece
            except BrokenProcessPool as error:
                deaths += 1
                if deaths >= ATTEMPTS:
                    raise RuntimeError(
                        f"workers died {deaths} times in a row; is there memory for {self._workers} policies?"
                    ) from error
                left.give_back([*running.values()])
            finally:
                given_up.set()
                pool.shutdown(wait=True, cancel_futures=True)

    def _pool(self, context: SpawnContext, given_up: Event) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, context, begin, (self._threads, given_up))


@contextmanager
def _workers_deaf_to_interrupts() -> Iterator[None]:
    """Have processes that are started within never hear of Ctrl-C, which a terminal sends to all of them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class GivenUpError(Exception):
    """Nobody waits for the piece any more."""


def begin(threads: int, given_up: Event) -> None:
    """Make this process a worker with ``threads`` torch threads, which ends when the process that started it does.

    Segments under way end with GivenUpError once ``given_up`` is set.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    _given["up"] = given_up
    threading.Thread(target=_end_with_parent, name="watch the parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # The end of a queue does not tell: a parent that is killed closes none, for its workers hold them open too.
        parent.join()
        os._exit(1)


def work(task: Task) -> Piece:
    """Explain one segment in this worker, which keeps its policy and its recording open."""

    def look() -> None:
        if _given["up"].is_set():
            raise GivenUpError

    look()
    reader, analyst = _kept()
    return analyse_segment(task, reader, analyst, look)


# What the process that started this worker gave it.
_given: dict[str, Event] = {}


@lru_cache(maxsize=1)
def _kept() -> tuple[Reader, Analyst]:
    """Return what this process keeps from task to task."""
    return Reader(), Analyst()
