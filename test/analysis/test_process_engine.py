import os
import signal

import numpy as np
import pytest
from bag_factory import sample_messages, write_bag
from recorded_run import analysed, order

from vla_iss_ros.analysis.bag_analysis import TableSink, analyse
from vla_iss_ros.analysis.process_engine import ProcessEngine
from vla_iss_ros.analysis.run_directory import AnalysisRun, RunDirectory


def table_only(directory, *_):
    return [TableSink(directory)]


def test_two_workers_one_of_them_killed_give_what_one_process_gives(tmp_path, monkeypatch):
    bag = write_bag(tmp_path / "tiny", sample_messages((2,) * 6))
    analysed(bag, tmp_path / "one", effects=False)
    pools, make = [], ProcessEngine._pool

    def watched(engine):
        pools.append(make(engine))
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


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 1"):
        ProcessEngine(0)
