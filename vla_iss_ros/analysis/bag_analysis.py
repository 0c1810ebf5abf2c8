"""Analyse recordings into a run directory: plan, resume, explain, write."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vla_iss_ros.analysis.assembling import Assembler
from vla_iss_ros.analysis.bootstrap import MeanInterval, mean_interval
from vla_iss_ros.analysis.engines import Engine
from vla_iss_ros.analysis.frame_table import iterate_table
from vla_iss_ros.analysis.identity import as_values, differences, identity_of, versions
from vla_iss_ros.analysis.outputs import MapSink, Sink, TableSink
from vla_iss_ros.analysis.pieces import Piece, StoredPiece, add_seconds
from vla_iss_ros.analysis.published import BagSink
from vla_iss_ros.analysis.report import write_report
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.analysis.segment_work import Job, Task
from vla_iss_ros.analysis.videos import VideoSink
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.source import Plan, Segment, Source
from vla_iss_ros.regions.recorded import LabelReader
from vla_iss_ros.settings import check

# Explained frames in a piece: what a kill costs at most.
EXPLAINED_A_SEGMENT = 16


class ResumeError(ValueError):
    """The directory holds another run; the text says what differs and what to do."""


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
    """What an analysis found. ``problems``: what was left out, counted by reason; ``skipped``: recordings, with why."""

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
    run, BagError when no recording can be read, ValueError when nothing could be explained, OSError when the disk is
    full: finished pieces stay, and no output has its name then.
    """
    started = time.perf_counter()
    progress = progress or Progress()
    settings = check(order.settings)
    values = as_values(settings)
    with _locked(directory):
        jobs, plans, skipped = _plan(order, values, progress)
        identity = identity_of(jobs, settings, _segment_length(order.stride))
        _prepare(directory, identity, restart)
        cameras = list(jobs[0].source.cameras)
        about = {"cameras": cameras, "settings": values, "identity": identity, "versions": versions()}
        directory.write_info({**about, "status": "running"})
        metadata = {"settings": values, "policy_hash": identity["policy hash"], "versions": about["versions"]}
        tasks = [
            Task(job, segment) for job, plan in zip(jobs, plans, strict=True) for segment in plan.segments
        ]
        chosen = (sinks or default_sinks)(directory, settings, {**metadata, "seed": settings.seed})
        assembler = Assembler(directory, [task.segment for task in tasks], chosen, settings)
        seconds = _run(tasks, directory, engine, assembler, progress)
        problems = assembler.problems + sum((plan.problems for plan in plans), Counter())
        if not assembler.frames:
            raise ValueError(f"no frame could be explained: {counted(problems) or 'there are none'}")
        nmr = headline(directory, settings)
        seconds = {**seconds, **assembler.seconds, "wall": time.perf_counter() - started}
        counts = {
            "frames": assembler.frames,
            "explained": assembler.explained,
            "episodes": len(assembler.episodes),
            "pieces": len(tasks),
        }
        directory.write_info(
            {
                **about,
                "status": "complete",
                "counts": counts,
                "problems": problems,
                "skipped": skipped,
                "seconds": seconds,
                "nmr": vars(nmr),
            }
        )
        report = write_report(directory.path)
    return Outcome(assembler.frames, assembler.explained, nmr, report, problems, skipped, seconds)


def default_sinks(directory: RunDirectory, settings: Any, metadata: Mapping[str, Any]) -> list[Sink]:
    """Return the sinks of all outputs."""
    return [TableSink(directory), MapSink(directory, metadata), VideoSink(directory), BagSink(directory)]


def headline(directory: RunDirectory, settings: Any) -> MeanInterval:
    """Return the mean headline NMR over the frames of a run, with a moving-block bootstrap interval.

    Episodes are not neighbours of each other. The interval does not hold the drift of a noisy map towards chance.
    """
    episodes: dict[str, list[float]] = {}
    reasons: Counter[str] = Counter()
    for row in iterate_table(directory.parquet):
        episodes.setdefault(row.episode, []).append(row.ratios[settings.nmr_percent].value)
        reasons.update([row.reason] if row.reason else [])
    series = [np.array(values) for values in episodes.values()]
    found = mean_interval(series, np.random.default_rng(settings.seed))
    if found.count == 0:
        return MeanInterval(
            found.value, found.low, found.high, 0, "; ".join(each for each, _ in reasons.most_common(2))
        )
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


def _prepare(directory: RunDirectory, identity: Mapping[str, Any], restart: bool) -> None:
    """Make the directory ready for this run; keep the pieces of an earlier start of the same run."""
    before = directory.read_info()
    if before is None and any(each.name != ".lock" for each in directory.path.iterdir()):
        raise ResumeError(f"'{directory.path}' holds other files and no analysis; choose another directory")
    if before is not None and not restart:
        found = differences(before["identity"], _as_json(identity))
        if found:
            raise ResumeError(
                f"'{directory.path}' holds another run: {'; '.join(found)}; "
                "choose another directory, or --restart to throw it away"
            )
    if before is not None and restart:
        shutil.rmtree(directory.pieces, ignore_errors=True)
        shutil.rmtree(directory.maps, ignore_errors=True)
    for each in directory.path.rglob(".*.partial"):
        shutil.rmtree(each) if each.is_dir() else each.unlink()


def _run(
    tasks: Sequence[Task],
    directory: RunDirectory,
    engine: Engine,
    assembler: Assembler,
    progress: Progress,
) -> dict[str, float]:
    """Explain what is not there yet while the outputs are made; return the seconds of this start."""
    seconds: dict[str, float] = {}
    done = [task for task in tasks if _is_stored(directory, task.segment)]
    finished = {task.segment.name for task in done}
    progress.planned(sum(task.segment.frames for task in tasks), sum(task.segment.frames for task in done))
    with assembler:
        for task in done:
            assembler.ready(task.segment.name)
        left = [task for task in tasks if task.segment.name not in finished]
        with contextlib.closing(engine.run(left, progress.frame)) as pieces:
            for task, piece in pieces:
                _store(directory, piece)
                add_seconds(seconds, piece.seconds)
                assembler.ready(task.segment.name)
    return seconds


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


def _is_stored(directory: RunDirectory, segment: Segment) -> bool:
    """Tell whether a segment's piece is there and whole; one that is damaged is made again."""
    try:
        with StoredPiece(directory.piece(segment.name)):
            return True
    except ValueError:
        return False


def _as_json(value: Any) -> Any:
    """Return ``value`` as it comes back from JSON."""
    return json.loads(json.dumps(value, default=str))


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
