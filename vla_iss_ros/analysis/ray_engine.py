# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Workers of a Ray cluster, or of a session of Ray on this computer alone."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from vla_iss_ros.analysis.identity import donors_hash, file_hash, policy_hash, versions
from vla_iss_ros.analysis.pieces import Piece
from vla_iss_ros.analysis.ray_session import first_line, joined_session, local_session
from vla_iss_ros.analysis.segment_work import Analyst, Reader, Task, analyse_segment
from vla_iss_ros.analysis.turns import Turns

ATTEMPTS = 3
AHEAD = 1  # tasks that wait at a worker, so that it never waits for this process
PATIENCE = 30.0  # s without any worker before a line says so

_log = logging.getLogger(__name__)


class RayEngine:
    """Runs tasks in ``workers`` Ray actors with ``threads`` torch threads and ``gpus`` GPUs each.

    The pieces are those of one process. A task whose worker dies is started again, at another worker if one is free; a
    segment that takes three workers with it ends the run. ``gpus``: 0 to 1, or a whole number; None: 1 where there are
    any, unless the setting device is cpu. ``address``: of a running cluster, as of ``ray.init``; empty: a local
    session, which ends with the work. A session that is open already is used and left open.
    """

    def __init__(
        self, workers: int = 2, threads: int = 1, gpus: float | None = None, address: str = ""
    ) -> None:
        if workers < 1 or threads < 1:
            raise ValueError(f"workers and threads must be at least 1, got {workers} and {threads}")
        if gpus is not None and not (0 <= gpus <= 1 or (gpus > 1 and float(gpus).is_integer())):
            raise ValueError(f"gpus of a worker must be from 0 to 1 or a whole number, got {gpus}")
        self._workers, self._threads, self._gpus, self._address = workers, threads, gpus, address

    def run(
        self, tasks: Sequence[Task], on_frame: Callable[[], object] = lambda: None
    ) -> Generator[tuple[Task, Piece], None, None]:
        """See :class:`vla_iss_ros.analysis.engines.Engine`; frames are told of when their segment is finished.

        Raises RuntimeError in one line when Ray fails, a worker has other versions or another policy file than this
        process, or a local session lacks the GPUs that were asked for.
        """
        if not tasks:
            return
        with self._session() as ray:
            share = self._share(ray, tasks[0].job.settings.get("device"))
            options = {"num_cpus": self._threads, "num_gpus": share, "max_restarts": 0}
            crew = _Crew(ray, tasks, self._workers, options, joined=bool(self._address))
            try:
                for task, piece in crew.pieces():
                    for _ in piece.rows:
                        on_frame()
                    yield task, piece
            except ray.exceptions.RayError as error:
                raise RuntimeError(f"Ray failed: {first_line(error)}") from error
            finally:
                crew.dismiss()

    @contextmanager
    def _session(self) -> Iterator[Any]:
        ray = sys.modules.get("ray")
        if ray is not None and ray.is_initialized():
            yield ray
        elif self._address:
            with joined_session(self._address) as ray:
                yield ray
        else:
            with local_session(self._workers * self._threads) as ray:
                yield ray

    def _share(self, ray: Any, device: str | None) -> float:
        """Return the GPUs that a worker reserves; raises RuntimeError when a local session has not as many."""
        nodes = [node for node in ray.nodes() if node["Alive"]]
        most = max((node["Resources"].get("GPU", 0.0) for node in nodes), default=0.0)
        if self._gpus is None:
            return 1.0 if most >= 1 and device != "cpu" else 0.0
        if self._gpus > most:
            lack = f"a worker asks for {self._gpus:g} GPUs and no computer here has more than {most:g}"
            if not self._address:
                raise RuntimeError(lack)
            _log.warning("%s; waiting for one to join", lack)
        return self._gpus


class SegmentWorker:
    """What runs in an actor: one policy and one open recording, kept from task to task."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self._reader, self._analyst = Reader(), Analyst()

    def describe(self, settings: Mapping[str, Any] | None) -> tuple[str, int, dict[str, str]]:
        """Return the computer's name, the process's number and what ``describe_installation`` says here."""
        return socket.gethostname(), os.getpid(), describe_installation(settings)

    def work(self, task: Task) -> Piece:
        """Explain one segment."""
        return analyse_segment(task, self._reader, self._analyst)


class _Crew:
    """The workers of one run and what each has in hand."""

    def __init__(
        self, ray: Any, tasks: Sequence[Task], workers: int, options: Mapping[str, Any], joined: bool
    ) -> None:
        self._ray, self._options = ray, options
        self._left, self._size = Turns(tasks, workers), workers
        # Other computers may hold another file under the same name.
        self._settings = tasks[0].job.settings if joined else None
        self._starting: dict[Any, Any] = {}  # answer to come: worker
        self._running: dict[
            Any, tuple[Any, Task]
        ] = {}  # answer to come: worker and task, in order of submission
        self.places: dict[Any, tuple[str, int]] = {}  # worker: computer and process
        self.deaths: Counter[str] = Counter()  # by segment
        self._stillborn = 0

    def pieces(self) -> Iterator[tuple[Task, Piece]]:
        """Yield every task with its piece, as they are finished."""
        expected, waited = describe_installation(self._settings), False
        for _ in range(min(self._size, len(self._left))):
            self._start()
        while self._left or self._running:
            coming = [*self._running, *self._starting]
            done, _ = self._ray.wait(coming, num_returns=1, timeout=PATIENCE)
            if not done and not self._running and not waited:
                _log.warning("no worker could start in %g s: the cluster's CPUs or GPUs are taken", PATIENCE)
                waited = True
            for answer in done:
                if answer in self._starting:
                    self._greet(answer, expected)
                    continue
                worker, task = self._running[answer]
                piece = self._result(answer, worker)
                if piece is None:
                    self._replace(worker)
                    continue
                del self._running[answer]
                self._hand_out(worker)
                yield task, piece

    def dismiss(self) -> None:
        """End all workers."""
        for worker in self._members():
            self._ray.kill(worker)

    def _members(self) -> list[Any]:
        return [*self._starting.values(), *{id(each): each for each, _ in self._running.values()}.values()]

    def _start(self) -> None:
        kind = self._ray.remote(SegmentWorker).options(**self._options)
        worker = kind.remote(int(self._options["num_cpus"]))
        self._starting[worker.describe.remote(self._settings)] = worker

    def _greet(self, answer: Any, expected: Mapping[str, str]) -> None:
        """Give a worker that has started its first tasks, if it is the same as this process."""
        worker = self._starting.pop(answer)
        try:
            computer, process, found = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            self._stillborn += 1
            if self._stillborn >= ATTEMPTS:
                raise RuntimeError(
                    f"workers cannot start, {ATTEMPTS} times in a row: {first_line(error)}"
                ) from error
            self._start()
            return
        self._stillborn = 0
        self.places[worker] = computer, process
        for name, value in expected.items():
            if found.get(name) != value:
                raise RuntimeError(
                    f"{name} is {found.get(name)} at the worker on {computer} and {value} here, so results would "
                    "differ; install the same versions and use the same files on every computer"
                )
        self._hand_out(worker)

    def _hand_out(self, worker: Any) -> None:
        """Fill a worker's hands; the last tasks wait here for whoever is free first."""
        held = sum(each is worker for each, _ in self._running.values())
        while self._left and held < (1 + AHEAD if len(self._left) > self._size else 1):
            task = self._left.take()
            self._running[worker.work.remote(task)] = worker, task
            held += 1
        if not held:
            self._ray.kill(worker)

    def _result(self, answer: Any, worker: Any) -> Piece | None:
        """Return a piece, None when its worker is gone; raises what the work raised."""
        try:
            return self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause or RuntimeError(first_line(error))) from error
        except self._ray.exceptions.RayError as error:
            _log.warning("process %d on %s is gone: %s", *reversed(self.places[worker]), first_line(error))
            return None

    def _replace(self, worker: Any) -> None:
        """Take back the tasks of a worker that died, and start another one."""
        answers = [answer for answer, (each, _) in self._running.items() if each is worker]
        tasks = [self._running.pop(answer)[1] for answer in answers]
        # It works in the order of submission, so the first one is what it died over.
        name = tasks[0].segment.name
        self.deaths[name] += 1
        if self.deaths[name] >= ATTEMPTS:
            raise RuntimeError(
                f"workers died {ATTEMPTS} times over segment '{name}'; is there memory for the policies of a computer?"
            )
        self._left.give_back(tasks)
        self._ray.kill(worker)
        self._start()


def describe_installation(settings: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the versions of what computes, and with ``settings`` the hashes of the files that they name."""
    # Ray itself compares Python's version.
    found = {name: version for name, version in versions().items() if name != "python"}
    if settings is None:
        return found
    return {
        **found,
        "policy hash": policy_hash(settings.get("policy", "builtin")),
        "donors hash": donors_hash(settings.get("donors", "")),
        "token means hash": file_hash(settings.get("token_means", "")),
    }
