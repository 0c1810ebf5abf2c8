import re

import pytest
from bag_factory import sample_messages, write_bag
from recorded_run import analysed

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
        found = mean_ratio(run.rows, 10, 0)
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
        worst = worst_frames(run.rows, 10)
        values = [row.ratios[10].value for row in worst]
        assert values == sorted(values, reverse=True)
        assert values[0] == max(row.ratios[10].value for row in run.rows)
        assert len({row.episode for row in worst}) == 2
        drawn = timeline(run.rows, 10)
        assert drawn.count('class="nmr"') == 2
        assert drawn.count('class="episode"') == 1


def test_no_report_of_what_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="holds no analysis"):
        write_report(tmp_path)
