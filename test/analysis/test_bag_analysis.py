from collections import Counter

import numpy as np
import pytest
from bag_factory import START, STEP, sample_messages, write_bag
from recorded_run import SMALL, analysed, order

from vla_iss_ros.analysis.bag_analysis import ResumeError, analyse
from vla_iss_ros.analysis.engines import SerialEngine
from vla_iss_ros.analysis.run_directory import AnalysisRun, RunDirectory
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.policies.donors import donors_for
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.regions.label_images import regions_from_labels
from vla_iss_ros.settings import check


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "tiny", sample_messages((5, 4)))


@pytest.fixture(scope="module")
def run(bag, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "out"
    outcome = analysed(bag, directory)
    assert outcome.frames == outcome.explained == 9
    assert not outcome.problems
    with AnalysisRun.open(directory) as opened:
        yield opened


def test_rows_are_those_of_the_engine_alone(bag, run):
    settings = check(SMALL)
    policy = load_policy("builtin")
    explainer = Explainer(policy, settings, donors_for(policy, "", True))
    with Bag(bag) as source:
        frames = list(iterate_observations(source))
    for row, (observation, labels, _) in zip(run.rows, frames, strict=True):
        expected = explainer.explain(observation, regions_from_labels(labels, settings, observation.images))
        assert row.stamp == observation.stamp
        assert row.instruction == observation.instruction
        ratio = expected.ratios[10]
        found = row.ratios[10]
        assert (found.value, found.low, found.high) == (ratio.value, ratio.low, ratio.high)
        for camera in run.cameras:
            contrast = run.contrast(row, camera)
            assert np.array_equal(contrast, expected.contrast_map(camera, contrast.shape))
            assert np.array_equal(run.image(row, camera), observation.images[camera])
            assert run.overlay(row, camera).shape[1] == contrast.shape[1]
            assert run.regions(row, camera).shape == contrast.shape


def test_rows_tell_what_the_frame_is(run):
    assert [(row.episode, row.frame) for row in run.rows] == [
        *(("tiny/0", index) for index in range(5)),
        *(("tiny/1", index) for index in range(4)),
    ]
    assert run.rows[1].seconds == pytest.approx(STEP / 1e9)
    assert run.rows[0].stamp == START
    assert run.rows[0].areas["front"] == {"nuisance": 6 / 16, "robot": 4 / 16, "object": 6 / 16}
    assert run.info["counts"] == {"frames": 9, "explained": 9, "episodes": 2, "pieces": 2}
    assert len(run.info["identity"]["policy hash"]) == 64


def test_frames_between_are_linear_in_time(bag, run, tmp_path):
    analysed(bag, tmp_path / "out", stride=2)
    with AnalysisRun.open(tmp_path / "out") as strided:
        assert [row.explained for row in strided.rows] == [
            True,
            False,
            True,
            False,
            True,
            True,
            False,
            True,
            True,
        ]
        middle, whole = strided.rows[1], run.rows
        for camera in run.cameras:
            expected = (run.contrast(whole[0], camera) + run.contrast(whole[2], camera)) / 2
            assert np.allclose(strided.contrast(middle, camera), expected, atol=1e-6)
            assert np.array_equal(strided.contrast(strided.rows[2], camera), run.contrast(whole[2], camera))
        assert 0 <= middle.ratios[10].value <= 1
        assert np.isnan(middle.ratios[10].low)
        assert middle.effects["state"].reason == "interpolated"


def test_a_second_start_uses_what_is_there_and_refuses_another_run(bag, tmp_path):
    directory = tmp_path / "out"
    analysed(bag, directory)
    before = (directory / "frames.csv").read_bytes()

    class Idle:
        def run(self, tasks, on_frame):
            assert not tasks
            yield from ()

    analyse(order(bag), RunDirectory(directory), Idle())
    assert (directory / "frames.csv").read_bytes() == before
    with pytest.raises(ResumeError, match=r"holds another run: samples was 32 and is now 64; .*--restart"):
        analysed(bag, directory, samples=64)
    assert analysed(bag, directory, restart=True, samples=64).frames == 9
    with AnalysisRun.open(directory) as run:
        assert run.rows[0].samples == 64


def test_an_interrupted_run_goes_on_where_it_stopped(bag, tmp_path):
    directory = tmp_path / "out"

    class Killed(SerialEngine):
        def run(self, tasks, on_frame=lambda: None):
            yield next(super().run(tasks, on_frame))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse(order(bag), RunDirectory(directory), Killed())
    assert sorted(path.name for path in directory.iterdir()) == [".lock", "pieces", "run.json"]
    with pytest.raises(ValueError, match="not complete; start analyze_bag again"):
        AnalysisRun.open(directory)
    seen = Counter()

    class Watched(SerialEngine):
        def run(self, tasks, on_frame=lambda: None):
            seen["tasks"] = len(tasks)
            return super().run(tasks, on_frame)

    assert analyse(order(bag), RunDirectory(directory), Watched()).frames == 9
    assert seen["tasks"] == 1


def test_a_directory_of_something_else_is_left_alone(bag, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ResumeError, match="holds other files and no analysis"):
        analysed(bag, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "x"


def test_a_bag_that_cannot_be_read_is_skipped_beside_others_and_named(bag, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    with pytest.raises(BagError, match=r"no metadata.yaml"):
        analysed(bad, tmp_path / "out")
    outcome = analyse(order(bag, bad), RunDirectory(tmp_path / "both"), SerialEngine())
    assert outcome.frames == 9
    assert "no metadata.yaml" in outcome.skipped["bad"]


def test_without_regions_all_but_nmr_is_there(tmp_path):
    messages = [each for each in sample_messages((3,)) if "regions" not in each[0]]
    outcome = analysed(write_bag(tmp_path / "tiny", messages), tmp_path / "out")
    assert outcome.nmr.count == 0
    assert outcome.nmr.reason.startswith("no regions")
    with AnalysisRun.open(tmp_path / "out") as run:
        assert run.rows[0].effects["camera_front"].delta >= 0
        assert run.regions(run.rows[0], "front") is None
        assert np.isnan(run.rows[0].areas["front"]["robot"])
