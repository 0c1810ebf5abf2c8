# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How far an analysis is, for a terminal and for a log."""

from __future__ import annotations

import sys

from tqdm import tqdm

from vla_iss_ros.analysis.bag_analysis import Progress


class ShownProgress(Progress):
    """A bar with a forecast on a terminal, one line elsewhere; a context manager."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._bar: tqdm | None = None

    def planned(self, frames: int, done: int) -> None:
        """See :class:`Progress`."""
        if sys.stderr.isatty():
            self._bar = tqdm(total=frames, initial=done, unit="frame", desc=self._program, dynamic_ncols=True)
            return
        before = f", {done} of them done before" if done else ""
        print(f"{self._program}: about {frames} frames{before}", file=sys.stderr, flush=True)

    def frame(self) -> None:
        """See :class:`Progress`."""
        if self._bar is not None:
            self._bar.update()

    def note(self, line: str) -> None:
        """See :class:`Progress`."""
        tqdm.write(f"{self._program}: {line}", file=sys.stderr)

    def __enter__(self) -> ShownProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
