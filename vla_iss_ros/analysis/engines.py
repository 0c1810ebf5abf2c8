# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who runs the segments of an analysis: an engine turns tasks into pieces, in any order."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Protocol

from vla_iss_ros.analysis.pieces import Piece, add_seconds
from vla_iss_ros.analysis.process_engine import ProcessEngine
from vla_iss_ros.analysis.ray_engine import RayEngine
from vla_iss_ros.analysis.segment_work import Analyst, Reader, ReadyFrame, Task

AHEAD = 8  # frames that are decoded before they are needed
POLL = 0.2  # s


class Engine(Protocol):
    """Runs tasks. The pieces are the same whatever the engine: each task stands for itself."""

    def run(
        self, tasks: Sequence[Task], on_frame: Callable[[], object] = lambda: None
    ) -> Generator[tuple[Task, Piece], None, None]:
        """Yield every task with its piece as they are finished; closing the generator ends the work.

        ``on_frame`` hears of each frame, in this thread, where the engine can tell. Raises what the work raises.
        """


class SerialEngine:
    """One policy in this process; another thread reads and decodes ahead."""

    def __init__(self, ahead: int = AHEAD) -> None:
        """Decode up to ``ahead`` frames before they are needed; memory holds those and one piece."""
        if ahead < 1:
            raise ValueError(f"ahead must be at least 1 frame, got {ahead}")
        self._ahead = ahead

    def run(
        self, tasks: Sequence[Task], on_frame: Callable[[], object] = lambda: None
    ) -> Generator[tuple[Task, Piece], None, None]:
        """See :class:`Engine`; pieces come in the order of the tasks."""
        analyst = Analyst()
        with _Prefetch(tasks, self._ahead) as prefetch:
            for task in tasks:
                counters = _Counters()
                piece = analyst.explain(task, prefetch.frames(counters), counters.problems, on_frame)
                add_seconds(piece.seconds, counters.seconds)
                yield task, piece


class _Counters:
    """What reading one segment found; handed over with its last frame."""

    def __init__(self) -> None:
        self.problems: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}


class _Prefetch:
    """Reads the frames of all tasks in a thread, a bounded number ahead; a context manager that ends the thread."""

    def __init__(self, tasks: Sequence[Task], ahead: int) -> None:
        self._tasks = tasks
        self._queue: queue.Queue[ReadyFrame | _Counters | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="decode ahead", daemon=True)

    def frames(self, counters: _Counters) -> Iterator[ReadyFrame]:
        """Yield the next task's frames; ``counters`` are filled when they end."""
        while True:
            item = self._queue.get()
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, _Counters):
                counters.problems.update(item.problems)
                counters.seconds.update(item.seconds)
                return
            yield item

    def _read(self) -> None:
        try:
            with Reader() as reader:
                for task in self._tasks:
                    counters = _Counters()
                    for frame in reader.frames(task, counters.problems, counters.seconds):
                        if not self._put(frame):
                            return
                    if not self._put(counters):
                        return
        except BaseException as error:  # the consumer raises it in its own thread
            self._put(error)

    def _put(self, item: ReadyFrame | _Counters | BaseException) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=POLL)
            except queue.Full:
                continue
            return True
        return False

    def __enter__(self) -> _Prefetch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def make_engine(name: str, **options: Any) -> Engine:
    """Return the engine of that name; raises ValueError for an unknown one."""
    if name not in REGISTRY:
        raise ValueError(f"engine must be one of {', '.join(REGISTRY)}, got '{name}'")
    return REGISTRY[name](**options)


REGISTRY: Mapping[str, Callable[..., Engine]] = {
    "serial": SerialEngine,
    "processes": ProcessEngine,
    "ray": RayEngine,
}
