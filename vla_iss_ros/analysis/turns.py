# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which task comes next, where several workers share them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from vla_iss_ros.analysis.segment_work import Task

LAST = 4  # tasks a worker


class Turns:
    """Tasks that wait for a worker.

    They come in their order, in which outputs are made, and the last ones the longest first: so none is left alone with
    a long one while the others have nothing to do.
    """

    def __init__(self, tasks: Iterable[Task], workers: int) -> None:
        self._left, self._last = deque(tasks), LAST * workers

    def __len__(self) -> int:
        return len(self._left)

    def take(self) -> Task:
        """Return the next task; raises IndexError when there is none."""
        if len(self._left) > self._last:
            return self._left.popleft()
        task = max(self._left, key=lambda task: task.segment.frames, default=None)
        if task is None:
            raise IndexError("no task is left")
        self._left.remove(task)
        return task

    def give_back(self, tasks: Sequence[Task]) -> None:
        """Put tasks in front that were taken and not done, in their order."""
        self._left.extendleft(reversed(tasks))
