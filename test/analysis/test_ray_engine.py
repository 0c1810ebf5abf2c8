# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import itertools
import os
import signal
import socket
import sys
from dataclasses import dataclass

import pytest
from bag_factory import sample_messages, write_bag
from processes import processes_of_session, wait_until
from recorded_run import SMALL, analysed, order, start_analysis

from vla_iss_ros.analysis import ray_engine
from vla_iss_ros.analysis.bag_analysis import analyse
from vla_iss_ros.analysis.frame_table import read_table
from vla_iss_ros.analysis.outputs import MapSink, TableSink
from vla_iss_ros.analysis.ray_engine import RayEngine
from vla_iss_ros.analysis.ray_session import local_session
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.analysis.segment_work import Job, Task
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.source import Segment
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.settings import check

EPISODES = (2,) * 6


@pytest.fixture(scope="module")
def ray():
    with local_session(2, gpus=1) as module:
        yield module


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "tiny", sample_messages(EPISODES))


def table_and_maps(directory, _, metadata):
    return [TableSink(directory), MapSink(directory, metadata)]


def rows_without_times(directory):
    rows = [row.flat() for row in read_table(RunDirectory(directory).parquet)]
    return [{name: repr(value) for name, value in row.items() if "seconds_" not in name} for row in rows]


def tasks_of(source, count=1):
    job = Job(source, vars(check(SMALL)))
    return [Task(job, Segment("tiny", number, 0, "tiny/0", 0, 0, 1, 1)) for number in range(count)]


def test_two_workers_one_of_them_killed_give_what_one_process_gives(ray, bag, tmp_path, monkeypatch):
    analysed(bag, tmp_path / "one")
    crews, pieces = [], ray_engine._Crew.pieces

    def killing(crew):
        crews.append(crew)
        for place, finished in enumerate(pieces(crew)):
            if place == 0:
                busy = [worker for worker, _ in crew._running.values()]
                victim = max(busy, key=busy.count)
                assert busy.count(victim) == 2
                os.kill(crew.places[victim][1], signal.SIGKILL)
            yield finished

    monkeypatch.setattr(ray_engine._Crew, "pieces", killing)
    outcome = analyse(order(bag), RunDirectory(tmp_path / "two"), RayEngine(2), sinks=table_and_maps)
    assert outcome.frames == sum(EPISODES)
    assert sum(crews[0].deaths.values()) == 1
    assert rows_without_times(tmp_path / "one") == rows_without_times(tmp_path / "two")
    maps = sorted(path.name for path in (tmp_path / "one" / "maps").iterdir())
    assert len(maps) == len(EPISODES)
    for name in maps:
        one, two = ((tmp_path / each / "maps" / name).read_bytes() for each in ("one", "two"))
        assert one == two


@dataclass(frozen=True)
class Deadly:
    """A recording that takes the process with it that opens it."""

    name: str = "tiny"

    def open(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_segment_that_kills_every_worker_ends_the_run(ray):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.raises(
        RuntimeError, match="workers died 3 times over segment 'tiny-000000'; is there memory"
    ):
        list(RayEngine(1).run(tasks_of(Deadly())))


def test_what_the_work_raises_is_raised_here(ray, bag):
    (source,) = order(bag).sources
    with source.open() as opened:
        (segment, *_) = opened.plan(16).segments
    job = Job(source, vars(check({**SMALL, "state_names": ["one"]})))
    with pytest.raises(PolicyError, match=r"takes a state of 4 numbers, got 1"):
        list(RayEngine(1).run([Task(job, segment)]))


def test_a_recording_that_a_worker_does_not_find_is_not_taken_for_an_empty_one(ray, bag, tmp_path):
    (source,) = order(bag).sources
    moved = type(source)(**{**vars(source), "path": tmp_path / "nowhere"})
    with pytest.raises(BagError, match="does not exist"):
        list(RayEngine(1).run(tasks_of(moved)))


def test_workers_with_other_files_or_versions_are_refused(ray, bag, monkeypatch):
    (source,) = order(bag).sources
    known = ray_engine.describe_installation
    monkeypatch.setattr(
        ray_engine, "describe_installation", lambda settings: {**known(settings), "torch": "1.0"}
    )
    with pytest.raises(RuntimeError, match=r"torch is .* at the worker on .* and 1.0 here, so results would"):
        list(RayEngine(1).run(tasks_of(source)))


def test_workers_share_a_gpu_and_give_it_back(ray, bag):
    (source,) = order(bag).sources
    with source.open() as opened:
        segments = opened.plan(16).segments
    job = Job(source, vars(check({**SMALL, "device": "cpu"})))
    running = RayEngine(2, gpus=0.5).run([Task(job, segment) for segment in segments])
    for _ in itertools.islice(running, 1):
        wait_until(lambda: ray.available_resources().get("GPU", 0) == 0)
    running.close()
    wait_until(lambda: ray.available_resources().get("GPU", 0) == 1)
    wait_until(lambda: ray.available_resources().get("CPU", 0) == 2)
    with pytest.raises(RuntimeError, match=r"asks for 2 GPUs and no computer here has more than 1$"):
        list(RayEngine(1, gpus=2).run(tasks_of(source)))


def test_a_local_session_keeps_to_itself(ray):
    assert ray.util.get_node_ip_address() == "127.0.0.1"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_no_task_starts_nothing(monkeypatch):
    monkeypatch.setattr(ray_engine, "local_session", None)
    assert list(RayEngine().run([])) == []


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 1"):
        RayEngine(0)
    with pytest.raises(ValueError, match=r"from 0 to 1 or a whole number, got 1\.5"):
        RayEngine(gpus=1.5)


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'vla_iss_ros\[ray\]'"):
        list(RayEngine().run(tasks_of(Deadly())))


def test_an_address_without_a_cluster_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RuntimeError, match=f"no Ray cluster answers at '127.0.0.1:{port}': .*refused"):
        list(RayEngine(address=f"127.0.0.1:{port}").run(tasks_of(Deadly())))


def test_ctrl_c_ends_ray_and_loses_nothing(bag, tmp_path):
    out = tmp_path / "out"
    process = start_analysis(bag, out, "ray", 1)
    wait_until(lambda: list(out.glob("pieces/*.piece")) or process.poll() is not None, 120)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "interrupted; what is finished is in" in said
    wait_until(lambda: not processes_of_session(process.pid))
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("pieces/*.piece")}
    assert kept
    outcome = analysed(bag, out)
    assert outcome.frames == sum(EPISODES)
    now = {path.name: path.stat().st_mtime_ns for path in out.glob("pieces/*.piece")}
    assert kept.items() <= now.items()
