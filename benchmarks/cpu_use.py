# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the processors of this computer did during a stretch of a benchmark, from /proc (Linux)."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

PERIOD = 0.2  # s
TICK = os.sysconf("SC_CLK_TCK")


class CpuUse:
    """CPU seconds of this process with all that descend from it, and of everything; a context manager.

    ``own`` misses what a process did after it was last looked at, and all of one that lived for less than 0.2 s.
    ``wall``: s. ``busy``: CPU seconds of the whole computer.
    """

    def __init__(self) -> None:
        self.own = self.busy = self.wall = 0.0
        self._seen: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def share(self) -> float:
        """Return the share of all cores that was ours or idle: what other work left."""
        cores = os.cpu_count() or 1
        return 1 - max(0.0, self.busy - self.own) / (cores * self.wall)

    def _watch(self) -> None:
        while not self._stop.wait(PERIOD):
            self._look()

    def _look(self) -> None:
        parents, spent = {}, {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                parents[int(entry.name)] = int(fields[1])
                spent[int(entry.name)] = (int(fields[11]) + int(fields[12])) / TICK
        for process in parents:
            above = process
            while above > 1 and above != os.getpid():
                above = parents.get(above, 0)
            if above == os.getpid():
                self._seen[process] = spent[process]

    def __enter__(self) -> CpuUse:
        self._started, self._busy_before = time.perf_counter(), _busy()
        self._look()
        self._before = self._seen.get(os.getpid(), 0.0)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        self.wall = time.perf_counter() - self._started
        self.own = sum(self._seen.values()) - self._before
        self.busy = _busy() - self._busy_before


def _busy() -> float:
    """Return the CPU seconds since the start of the computer, of all processes."""
    user, nice, system, _, _, interrupts, soft, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + interrupts + soft) / TICK
