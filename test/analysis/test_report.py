# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from bag_factory import sample_messages, write_bag
from large_tables import peak_below, write_large
from recorded_run import analysed

from vla_iss_ros.analysis.frame_columns import FrameColumns
from vla_iss_ros.analysis.report import write_report
from vla_iss_ros.analysis.report_figures import mean_ratio, timeline, worst_frames
from vla_iss_ros.analysis.run_directory import AnalysisRun


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    bag = write_bag(directory / "tiny", sample_messages((4, 3)))
    analysed(bag, directory / "out", instruction="<b>")
    return directory / "out"


def test_the_report_is_one_file_with_the_answers_first(directory):
    page = (directory / "report.html").read_text()
    with AnalysisRun.open(directory) as run:
        found = mean_ratio(FrameColumns.of(run.rows, 10), 0)
    assert f"NMR@10 {found.value:.2f} [{found.low:.2f}, {found.high:.2f}]" in page
    assert page.index("NMR@10") < page.index("What does it use?") < page.index("Episodes")
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    for text in ("camera front", "camera wrist", "instruction", "state", "tiny/1", "SHA-256"):
        assert text in page
    assert page.count("<img ") == page.count("data:image/jpeg;base64,") >= 4
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_without_regions_it_says_how_to_get_them(tmp_path):
    messages = [each for each in sample_messages((2,)) if "regions" not in each[0]]
    analysed(write_bag(tmp_path / "tiny", messages), tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "NMR@10 is undefined" in page
    assert "Give analyze_bag --regions" in page
    assert "<svg" not in page


def test_the_worst_frames_lie_apart_and_the_timeline_has_every_episode(directory):
    with AnalysisRun.open(directory) as run:
        columns = FrameColumns.of(run.rows, 10)
        worst = [run.rows[place] for place in worst_frames(columns)]
        values = [row.ratios[10].value for row in worst]
        assert values == sorted(values, reverse=True)
        assert values[0] == max(row.ratios[10].value for row in run.rows)
        assert len({row.episode for row in worst}) == 2
        drawn = timeline(columns, 10)
        assert drawn.count('class="nmr"') == 2
        assert drawn.count('class="episode"') == 1


def test_no_report_of_what_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="holds no analysis"):
        write_report(tmp_path)


@pytest.fixture
def grown(directory, tmp_path):
    """Return a function that makes the run one of many episodes and recordings, each frame with a picture."""

    def grow(frames, episodes, recordings=1):
        shutil.copytree(directory, tmp_path / "out")
        info = json.loads((tmp_path / "out/run.json").read_text())
        described = info["identity"]["sources"]["tiny"]
        names = [f"2026-11-28-kitchen-{number:03d}" for number in range(recordings)]
        info["identity"]["sources"] = dict.fromkeys(names, described)
        info["skipped"] = {f"bad {number}": f"bad {number} cannot be read" for number in range(30)}
        (tmp_path / "out/run.json").write_text(json.dumps(info))
        row = pq.read_table(directory / "frames.parquet").slice(0, 1).to_pylist()[0]
        values = np.random.default_rng(0).uniform(0.3, 0.5, frames)
        values[frames // 3] = 1.0
        numbers = np.arange(frames) * episodes // frames
        columns = {
            "nmr_10": values,
            "seconds": np.arange(frames) * 0.1,
            "episode": [f"tiny/{number}" for number in numbers],
        }
        write_large(tmp_path / "out/frames.parquet", row, columns)
        return tmp_path / "out"

    return grow


def test_many_recordings_are_counted_in_the_title_and_listed_below(grown):
    page = write_report(grown(60, 60, recordings=60)).read_text()
    assert re.search(r"<h1>[^<]* on 60 recordings</h1>", page)
    assert "<details><summary>60 recordings</summary><ul><li>2026-11-28-kitchen-000</li>" in page
    assert page.count("<li>2026") == 60
    assert "<details><summary>30 more episodes</summary>" in page
    assert "10 more in run.json" in page


def test_of_very_many_episodes_the_ends_are_shown(grown):
    page = write_report(grown(2000, 1000)).read_text()
    assert "The 100 episodes with the highest NMR, then the 20 with the lowest, of 1000." in page
    assert "frames.csv" in page
    assert page.count('<td class="name">tiny/') == 120
    assert "<summary>90 more episodes</summary>" in page
    # The episode of the frame whose NMR is 1 is the first one.
    assert page.index("tiny/333<") < page.index("<summary>90 more")


def test_a_large_report_takes_little_memory_and_room(grown):
    directory = grown(100_000, 700)
    with peak_below(80):
        page = write_report(directory)
    assert page.stat().st_size < 3e6


def test_one_episode_says_what_its_interval_does_not_hold(grown):
    page = write_report(grown(40, 1)).read_text()
    assert "how much another episode would differ is not in them" in page


def test_few_episodes_are_said_to_be_few(directory):
    assert "Of 2 episodes they are too narrow" in (directory / "report.html").read_text()
