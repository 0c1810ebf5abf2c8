# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import shutil
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from bag_factory import SECOND, START, STEP, sample_messages, write_bag
from message_factory import String
from recorded_run import SMALL, analysed, order

from vla_iss_ros.analysis import bag_analysis
from vla_iss_ros.analysis.bag_analysis import NoFrameError, analyse
from vla_iss_ros.analysis.engines import SerialEngine
from vla_iss_ros.analysis.resuming import ResumeError
from vla_iss_ros.analysis.run_directory import AnalysisRun, RunDirectory
from vla_iss_ros.analysis.segment_work import require_policy
from vla_iss_ros.bags.bag_source import OpenBag
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.policies.donors import donors_for
from vla_iss_ros.policies.errors import PolicyError
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


class Interrupted(SerialEngine):
    """Stops before the first segment is finished."""

    def run(self, tasks, on_frame=lambda: None):
        yield from ()
        raise KeyboardInterrupt


def test_a_restart_leaves_nothing_of_the_old_run(bag, tmp_path):
    out = RunDirectory(tmp_path / "out")
    analysed(bag, out.path)
    info = out.read_info()
    out.write_info({**info, "cameras": [*info["cameras"], "gone"]})
    out.video("gone").write_bytes(b"of a camera that the next run does without")
    (out.path / "notes.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt):
        analyse(order(bag, samples=64), out, Interrupted(), restart=True)
    assert sorted(path.name for path in out.path.iterdir()) == [".lock", "notes.txt", "run.json"]
    assert out.read_info()["status"] == "running"
    assert analysed(bag, out.path, samples=64).frames == 9


def test_a_directory_without_pieces_is_no_other_run(bag, tmp_path):
    out = RunDirectory(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        analyse(order(bag), out, Interrupted())
    assert analysed(bag, out.path, samples=64).frames == 9
    shutil.rmtree(out.pieces)
    with pytest.raises(ResumeError, match="samples was 64 and is now 32"):
        analysed(bag, out.path)
    assert out.report.exists()


def test_what_no_frame_came_of_is_not_published_and_the_next_start_tries_again(bag, tmp_path):
    unlabelled = [each for each in sample_messages((2,)) if each[0] != "/end_effector_state"]
    stateless = write_bag(tmp_path / "stateless", unlabelled)
    out = tmp_path / "out"
    for _ in range(2):
        with pytest.raises(NoFrameError, match=r"no frame could be explained: .*state"):
            analysed(stateless, out)
        assert sorted(path.name for path in out.iterdir()) == [".lock", "run.json"]
    assert analysed(bag, out).frames == 9


def test_a_bag_whose_frames_are_in_no_episode_has_nothing_to_explain(tmp_path):
    messages = list(sample_messages((2,), markers=False))
    marker = ("/episode", String('{"index": 0, "task": "late"}'), messages[-1][2] + SECOND)
    with pytest.raises(
        NoFrameError, match=r"no frame could be explained: frame: before the first episode: 2$"
    ):
        analysed(write_bag(tmp_path / "tiny", [*messages, marker]), tmp_path / "out")


def test_a_policy_that_is_not_there_is_named_before_the_bag_is_read(bag, tmp_path, monkeypatch):
    monkeypatch.setattr(OpenBag, "plan", None)
    for policy, reason in (
        ("builtin:/nowhere", "'/nowhere'"),
        ("exported:/nowhere", "'/nowhere"),
        ("nonsense", "policy must be TYPE"),
    ):
        with pytest.raises(PolicyError, match=reason):
            analysed(bag, tmp_path / "out", policy=policy)
    monkeypatch.undo()
    assert analysed(bag, tmp_path / "out").frames == 9


def test_files_that_may_be_large_are_not_loaded_to_see_whether_they_are_there(tmp_path):
    require_policy(check({"policy": f"exported:{tmp_path}"}))


def changed(out, **changes):
    """Write run.json anew with other items; those that are None are left out."""
    info = {**out.read_info(), **changes}
    out.write_info({name: value for name, value in info.items() if value is not None})


def test_pieces_of_other_versions_are_refused(bag, tmp_path):
    out = RunDirectory(tmp_path / "out")
    analysed(bag, out.path)
    versions = out.read_info()["versions"]
    changed(out, versions={**versions, "torch": "1.0", "python": "2.7"})
    with pytest.raises(ResumeError, match=r"holds another run: torch was '1\.0' and is now '[^;]*'; choose"):
        analysed(bag, out.path)
    changed(out, versions={**versions, "python": "2.7"})
    assert analysed(bag, out.path).frames == 9
    changed(out, versions=None)
    assert analysed(bag, out.path).frames == 9


def test_a_run_from_before_cameras_could_be_missing_did_what_the_default_does(bag, tmp_path):
    out = RunDirectory(tmp_path / "out")
    analysed(bag, out.path)
    identity = out.read_info()["identity"]
    older = {name: value for name, value in identity.items() if not name.startswith("missing_camera")}
    assert len(older) == len(identity) - 2
    changed(out, identity=older)
    with pytest.raises(ResumeError, match="another run: missing_camera was 'wait' and is now 'hold'; choose"):
        analysed(bag, out.path, missing_camera="hold")
    assert analysed(bag, out.path).frames == 9


def test_an_analysis_within_the_bag_is_resumed(tmp_path):
    bag = write_bag(tmp_path / "tiny", sample_messages((2,)))
    for _ in range(2):
        assert analysed(bag, bag / "analysis").frames == 2


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


@pytest.mark.parametrize(("donors", "notes"), [("", 1), ("gathered", 0)])
def test_a_policy_of_another_origin_is_not_given_the_samples_frames_in_silence(donors, notes):
    said = []
    progress = SimpleNamespace(note=said.append)
    chosen = check({"policy": "exported:mine", "donors": donors})
    about = {"identity": {"policy hash": "abc"}, "settings": {"policy": "exported:mine"}}
    bag_analysis._warn(about, chosen, progress)
    assert len([line for line in said if "set donors to a directory made by gather_donors" in line]) == notes
