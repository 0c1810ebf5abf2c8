# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Make the outputs in a thread beside the policy, from pieces as they are stored."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from vla_iss_ros.analysis.outputs import FinishedFrame, Sink, opened
from vla_iss_ros.analysis.pieces import StoredPiece, add_seconds
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.bags.source import Segment
from vla_iss_ros.render.overlay import Scale


class AbandonedError(Exception):
    """The analysis ended before its last piece: nothing is published."""


class Assembler:
    """Reads the pieces of ``segments`` in their order, each as soon as it is there, and feeds the sinks.

    A context manager: on success leaving it waits until all outputs have their names; after an error they never get
    them. ``frames``, ``explained``, ``problems`` and ``seconds`` count what went through, whichever start explained it.
    """

    def __init__(
        self, directory: RunDirectory, segments: Sequence[Segment], sinks: Sequence[Sink], settings: Any
    ) -> None:
        self._directory, self._segments, self._sinks, self._settings = directory, segments, sinks, settings
        self._condition = threading.Condition()
        self._ready: set[str] = set()
        self._abandoned = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="outputs", daemon=True)
        self.frames = 0
        self.explained = 0
        self.episodes: set[str] = set()
        self.problems: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}

    def ready(self, name: str) -> None:
        """Tell that a segment's piece is stored; raises what went wrong with the outputs so far."""
        with self._condition:
            self._ready.add(name)
            self._condition.notify_all()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with opened(self._sinks):
                self._assemble()
        except AbandonedError:
            pass
        except BaseException as error:  # raised in the thread that started this one
            self._failure = error

    def _assemble(self) -> None:
        scale, source = Scale(self._settings.overlay_scale), ""
        for segment in self._segments:
            self._wait_for(segment.name)
            if segment.source != source:
                scale.reset()
                source = segment.source
            started = time.perf_counter()
            with StoredPiece(self._directory.piece(segment.name)) as piece:
                for row in piece.rows:
                    frame = FinishedFrame(row, piece, self._settings, scale)
                    for sink in self._sinks:
                        sink.add(frame)
                    self.frames += 1
                    self.explained += row.explained
                    self.episodes.add(row.episode)
                self.problems.update(piece.problems)
                add_seconds(self.seconds, piece.seconds)
            add_seconds(self.seconds, {"write": time.perf_counter() - started})

    def _wait_for(self, name: str) -> None:
        with self._condition:
            self._condition.wait_for(lambda: name in self._ready or self._abandoned)
            if name not in self._ready:
                raise AbandonedError

    def __enter__(self) -> Assembler:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._condition:
            self._abandoned = True
            if kind is not None:
                self._ready.clear()
            self._condition.notify_all()
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure
