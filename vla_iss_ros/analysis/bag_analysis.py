# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Analyse recordings into a run directory: plan, resume, explain, write."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from vla_iss_ros.analysis.assembling import Assembler
from vla_iss_ros.analysis.bootstrap import MeanInterval
from vla_iss_ros.analysis.default_outputs import default_sinks
from vla_iss_ros.analysis.engines import Engine
from vla_iss_ros.analysis.frame_columns import FrameColumns, StoredRows
from vla_iss_ros.analysis.identity import (
    as_values,
    identity_of,
    versions,
    with_earlier_policy,
)
from vla_iss_ros.analysis.outputs import FinishedFrame, Sink
from vla_iss_ros.analysis.pieces import Piece, add_seconds
from vla_iss_ros.analysis.report import write_report
from vla_iss_ros.analysis.report_figures import mean_ratio
from vla_iss_ros.analysis.resuming import ResumeError, earlier_info, is_explained, prepare
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.analysis.segment_work import Job, Task, require_policy
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.source import Plan, Source
from vla_iss_ros.policies.recorded import borrowed_donors
from vla_iss_ros.regions.recorded import LabelReader
from vla_iss_ros.settings import check

# Explained frames in a piece: what a kill costs at most.
EXPLAINED_A_SEGMENT = 16


class NoFrameError(ValueError):
    """No frame could be explained; the text says why."""


@dataclass(frozen=True)
class Order:
    """What to analyse and how. ``settings``: values by name. ``stride`` as of :class:`Job`."""

    sources: Sequence[Source]
    settings: Mapping[str, Any]
    labels: LabelReader | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise ValueError(f"stride must be at least 1 frame, got {self.stride}")
        if not self.sources:
            raise ValueError("an analysis needs at least one recording, got none")
        names = Counter(source.name for source in self.sources)
        if len(names) < len(self.sources):
            raise ValueError(f"recordings must have different names, got {dict(names)}")


@dataclass
class Outcome:
    """What an analysis found.

    ``problems``: what was left out, counted by reason. ``skipped``: recordings, with why. ``seconds``: of this start,
    while run.json has those of all starts.
    """

    frames: int
    explained: int
    nmr: MeanInterval
    report: Path | None
    problems: Counter[str]
    skipped: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)


class Progress:
    """Hears how far an analysis is; the base class says nothing."""

    def planned(self, frames: int, done: int) -> None:
        """Hear how many frames there are, and how many an earlier start has done."""

    def frame(self) -> None:
        """Hear of one more frame."""

    def note(self, line: str) -> None:
        """Hear one line for people."""


def analyse(
    order: Order,
    directory: RunDirectory,
    engine: Engine,
    *,
    restart: bool = False,
    progress: Progress | None = None,
    sinks: Callable[[RunDirectory, Any, Mapping[str, Any]], Sequence[Sink]] | None = None,
) -> Outcome:
    """Analyse the recordings of ``order`` into ``directory`` and return what was found.

    Segments that an earlier start has finished are used as they are; ``restart`` throws them away. A recording that
    cannot be opened is skipped and named where there are others. Raises ResumeError when the directory holds another
    run, PolicyError when the policy is not there or answers no more, BagError when no recording can be read,
    NoFrameError when nothing could be explained, OSError when the disk is full: finished pieces stay, and no output has
    its name then.
    """
    started = time.perf_counter()
    progress = progress or Progress()
    settings = check(order.settings)
    with _locked(directory):
        before = earlier_info(directory, restart)
        whole = set() if restart else directory.whole_pieces()
        if not is_explained(before, whole):
            require_policy(settings)
        jobs, plans, skipped = _plan(order, as_values(settings), progress)
        tasks = [
            Task(job, segment) for job, plan in zip(jobs, plans, strict=True) for segment in plan.segments
        ]
        about = _about(jobs, settings, order.stride)
        if before is not None and all(task.segment.name in whole for task in tasks):
            about["identity"] = with_earlier_policy(about["identity"], before["identity"])
        prepare(directory, before, about, restart)
        directory.write_info({**about, "status": "running", "counts": {"pieces": len(tasks)}})
        _warn(about, settings, progress)
        planning = sum((plan.problems for plan in plans), Counter[str]())
        # The last one is left first, before the others give their files names.
        chosen = [*(sinks or default_sinks)(directory, settings, _metadata(about)), _SomeFrame()]
        assembler = Assembler(directory, [task.segment for task in tasks], chosen, settings)
        with _reasons_for_no_frame(directory, assembler, planning):
            spent = _run(tasks, whole, directory, engine, assembler, progress)
        problems = assembler.problems + planning
        nmr = headline(directory, settings)
        now = {"write": assembler.seconds["write"], "wall": time.perf_counter() - started}
        seconds = {**assembler.seconds, **now}
        counts = {
            "frames": assembler.frames,
            "explained": assembler.explained,
            "episodes": len(assembler.episodes),
            "pieces": len(tasks),
        }
        findings = {"counts": counts, "problems": problems, "skipped": skipped, "seconds": seconds}
        directory.write_info({**about, "status": "complete", **findings, "nmr": vars(nmr)})
        report = write_report(directory.path)
    return Outcome(assembler.frames, assembler.explained, nmr, report, problems, skipped, {**spent, **now})


def require_policy_of(order: Order, directory: RunDirectory, restart: bool = False) -> None:
    """Raise PolicyError where the policy of ``order`` cannot be used, as far as ``require_policy`` can tell.

    A run whose pieces are all there needs none.
    """
    whole = set() if restart else directory.whole_pieces()
    if not is_explained(earlier_info(directory, restart), whole):
        require_policy(check(order.settings))


def headline(directory: RunDirectory, settings: Any) -> MeanInterval:
    """Return the mean headline NMR over the explained frames of a run, with its bootstrap interval.

    The interval does not hold the drift of a noisy map towards chance.
    """
    columns = FrameColumns.of(StoredRows(directory.parquet), settings.nmr_percent, effects=False)
    found = mean_ratio(columns, settings.seed)
    if found.count == 0:
        return replace(found, reason="; ".join(each for each, _ in columns.reasons.most_common(2)))
    return found


def counted(problems: Mapping[str, int]) -> str:
    """Return problems as one line, most frequent first."""
    return "; ".join(f"{reason}: {count}" for reason, count in Counter(problems).most_common())


def _segment_length(stride: int) -> int:
    return EXPLAINED_A_SEGMENT * stride


def _plan(
    order: Order, values: Mapping[str, Any], progress: Progress
) -> tuple[list[Job], list[Plan], dict[str, str]]:
    """Return a job and a plan for each recording that can be read, and why the others cannot."""
    jobs, plans, skipped = [], [], {}
    for source in order.sources:
        try:
            with source.open() as opened:
                plan = opened.plan(_segment_length(order.stride))
        except BagError as error:
            if len(order.sources) == 1:
                raise
            skipped[source.name] = str(error)
            progress.note(f"skipped: {error}")
            continue
        jobs.append(Job(source, values, order.labels, order.stride))
        plans.append(plan)
    if not jobs:
        raise BagError(f"none of {len(order.sources)} recordings can be read: {'; '.join(skipped.values())}")
    return jobs, plans, skipped


def _about(jobs: Sequence[Job], settings: Any, stride: int) -> dict[str, Any]:
    """Return what run.json says from the start."""
    return {
        "cameras": list(jobs[0].source.cameras),
        "settings": as_values(settings),
        "identity": identity_of(jobs, settings, _segment_length(stride)),
        "versions": versions(),
    }


def _metadata(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the maps' files say of the run."""
    return {
        "settings": about["settings"],
        "policy_hash": about["identity"]["policy hash"],
        "versions": about["versions"],
        "seed": about["settings"]["seed"],
    }


def _warn(about: Mapping[str, Any], settings: Any, progress: Progress) -> None:
    """Say what makes the results less than they seem."""
    borrowed = borrowed_donors(settings)
    if borrowed:
        progress.note(borrowed)
    if not about["identity"]["policy hash"]:
        progress.note(
            f"nothing tells whether '{about['settings']['policy']}' is the same policy when this run is resumed; give "
            "--restart after it has changed"
        )


def _run(
    tasks: Sequence[Task],
    whole: Collection[str],
    directory: RunDirectory,
    engine: Engine,
    assembler: Assembler,
    progress: Progress,
) -> dict[str, float]:
    """Explain what is not ``whole`` yet while the outputs are made; return the seconds of this start."""
    seconds: dict[str, float] = {}
    done = [task for task in tasks if task.segment.name in whole]
    progress.planned(sum(task.segment.frames for task in tasks), sum(task.segment.frames for task in done))
    with assembler:
        for task in done:
            assembler.ready(task.segment.name)
        left = [task for task in tasks if task.segment.name not in whole]
        with contextlib.closing(engine.run(left, progress.frame)) as pieces:
            for task, piece in pieces:
                _store(directory, piece)
                add_seconds(seconds, piece.seconds)
                assembler.ready(task.segment.name)
    return seconds


@contextlib.contextmanager
def _reasons_for_no_frame(
    directory: RunDirectory, assembler: Assembler, planning: Counter[str]
) -> Iterator[None]:
    """Say why there is no frame where there is none. The pieces go, which hold nothing: the next start tries again."""
    try:
        yield
    except NoFrameError as error:
        if directory.pieces.exists():
            shutil.rmtree(directory.pieces)
        reasons = counted(assembler.problems + planning) or "there are none"
        raise NoFrameError(f"no frame could be explained: {reasons}") from error


class _SomeFrame:
    """A sink that ends an analysis without any frame before it is published."""

    def __init__(self) -> None:
        self._any = False

    def add(self, frame: FinishedFrame) -> None:
        """See :class:`vla_iss_ros.analysis.outputs.Sink`."""
        self._any = True

    def __enter__(self) -> _SomeFrame:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and not self._any:
            raise NoFrameError("no frame")


def _store(directory: RunDirectory, piece: Piece) -> None:
    try:
        piece.write(directory.piece(piece.name))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC,
                f"no space left for '{directory.piece(piece.name)}'; finished pieces are kept: "
                "make room and start again",
            ) from error
        raise


@contextlib.contextmanager
def _locked(directory: RunDirectory) -> Iterator[None]:
    """Hold the directory, made where it is missing; raises ResumeError while another process holds it."""
    directory.path.mkdir(parents=True, exist_ok=True)
    with (directory.path / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResumeError(
                f"another analysis writes to '{directory.path}'; wait for it or stop it"
            ) from error
        yield
