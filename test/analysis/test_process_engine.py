# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import threading

import numpy as np
import pytest
from bag_factory import sample_messages, write_bag
from processes import processes_of_session, wait_until
from recorded_run import SMALL, analysed, order, start_analysis

from vla_iss_ros.analysis import process_engine
from vla_iss_ros.analysis.bag_analysis import analyse
from vla_iss_ros.analysis.outputs import TableSink
from vla_iss_ros.analysis.process_engine import GivenUpError, ProcessEngine
from vla_iss_ros.analysis.run_directory import AnalysisRun, RunDirectory
from vla_iss_ros.analysis.segment_work import Analyst, Job, Task


def table_only(directory, *_):
    return [TableSink(directory)]


def test_two_workers_one_of_them_killed_give_what_one_process_gives(tmp_path, monkeypatch):
    bag = write_bag(tmp_path / "tiny", sample_messages((2,) * 6))
    analysed(bag, tmp_path / "one", effects=False)
    pools, make = [], ProcessEngine._pool

    def watched(engine, *arguments):
        pools.append(make(engine, *arguments))
        return pools[-1]

    monkeypatch.setattr(ProcessEngine, "_pool", watched)

    class Killing(ProcessEngine):
        def run(self, tasks, on_frame=lambda: None):
            for place, finished in enumerate(super().run(tasks, on_frame)):
                if place == 0:
                    os.kill(next(iter(pools[0]._processes)), signal.SIGKILL)
                yield finished

    outcome = analyse(order(bag, effects=False), RunDirectory(tmp_path / "two"), Killing(2), sinks=table_only)
    assert outcome.frames == 12
    assert len(pools) == 2
    with AnalysisRun.open(tmp_path / "one") as one, AnalysisRun.open(tmp_path / "two") as two:
        for left, right in zip(one.rows, two.rows, strict=True):
            assert left.key == right.key
            assert left.ratios[10].value == right.ratios[10].value
            for camera in one.cameras:
                assert np.array_equal(one.contrast(left, camera), two.contrast(right, camera))


def test_workers_end_with_the_process_that_is_killed(tmp_path):
    bag = write_bag(tmp_path / "tiny", sample_messages((1,) * 8))
    process = start_analysis(bag, tmp_path / "out", "processes", 2)
    wait_until(lambda: list(tmp_path.glob("out/pieces/*.piece")) or process.poll() is not None, 120)
    assert len(processes_of_session(process.pid)) > 2
    process.kill()
    process.communicate()
    wait_until(lambda: not processes_of_session(process.pid))


def test_ctrl_c_in_a_terminal_is_one_line_and_ends_the_workers(tmp_path):
    bag = write_bag(tmp_path / "tiny", sample_messages((1,) * 8))
    process = start_analysis(bag, tmp_path / "out", "processes", 2)
    # While the workers still import what they need.
    wait_until(lambda: len(processes_of_session(process.pid)) > 2 or process.poll() is not None, 120)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "interrupted; what is finished is in" in said.splitlines()[-1]
    wait_until(lambda: not processes_of_session(process.pid))


def test_a_segment_that_nobody_waits_for_ends_after_the_frame_that_it_is_at(tmp_path, monkeypatch):
    bag = write_bag(tmp_path / "tiny", sample_messages((4, 4)))
    (source,) = order(bag).sources
    with source.open() as opened:
        tasks = [Task(Job(source, {**SMALL, "effects": False}), each) for each in opened.plan(16).segments]
    given_up, done = threading.Event(), []
    monkeypatch.setitem(process_engine._given, "up", given_up)
    explain = Analyst.explain

    def counted(analyst, task, frames, problems, on_frame):
        def count():
            done.append(task.segment.number)
            if len(done) == 6:
                given_up.set()
            on_frame()

        return explain(analyst, task, frames, problems, count)

    monkeypatch.setattr(Analyst, "explain", counted)
    assert len(process_engine.work(tasks[0]).rows) == 4
    for _ in range(2):
        with pytest.raises(GivenUpError):
            process_engine.work(tasks[1])
    assert done == [0, 0, 0, 0, 1, 1]


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 1"):
        ProcessEngine(0)
