# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from bag_factory import sample_messages, write_bag
from lerobot_factory import SIZE, picture, write_dataset

from vla_iss_ros.analysis.run_directory import AnalysisRun
from vla_iss_ros.cli.analyze_bag import main

FAST = ["--samples", "32", "--grid", "3", "--estimator", "spatial", "--nmr-size", "32"]


def run(*arguments):
    return main([str(argument) for argument in (*arguments, *FAST)])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "tiny", "v3.0", (3, 2), images=True)


def test_a_data_set_stands_where_a_bag_does(dataset, tmp_path, capsys):
    labels = np.zeros(SIZE, np.uint8)
    labels[:8] = 1
    cv2.imwrite(str(tmp_path / "labels.png"), labels)
    regions = [f"{camera}={tmp_path}/labels.png" for camera in ("front", "wrist")]
    bag = write_bag(tmp_path / "bag", sample_messages((2,)))
    arguments = [f"--regions={region}" for region in regions]
    assert run(dataset, bag, "--out", tmp_path / "out", *arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(
        "tiny: LeRobot data set v3.0, 2 episodes, 10 Hz, camera front: observation.images.front, "
        "camera wrist: observation.images.wrist, state: observation.state, instruction: the tasks"
    )
    assert lines[-1].startswith("analyze_bag: 7 frames, NMR@10 = ")
    with AnalysisRun.open(tmp_path / "out") as found:
        assert [(row.episode, row.frame, row.instruction) for row in found.rows[:5]] == [
            ("tiny/0", 0, "task 0"),
            ("tiny/0", 1, "task 0"),
            ("tiny/0", 2, "task 0"),
            ("tiny/1", 0, "task 1"),
            ("tiny/1", 1, "task 1"),
        ]
        assert np.array_equal(found.image(found.rows[4], "wrist"), picture(1, 1, "wrist"))
        assert found.rows[0].areas["front"] == {"nuisance": 0.75, "robot": 0.25, "object": 0.0}


def test_options_name_features(dataset, tmp_path, capsys):
    images = [
        "--image=front=observation.images.wrist",
        "--image=wrist=observation.images.front",
        "--state-topic=action",
    ]
    assert run(dataset, "--out", tmp_path / "out", *images) == 0
    assert "camera front: observation.images.wrist" in capsys.readouterr().out
    with AnalysisRun.open(tmp_path / "out") as found:
        assert np.array_equal(found.image(found.rows[0], "front"), picture(0, 0, "wrist"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cameras", "front", "top"], "no images of camera 'top'; its cameras: observation.images.front"),
        (["--image", "front=observation.images.front"], "--image names no feature of camera 'wrist'"),
        (["--episode-topic", "/episode"], "--episode-topic /episode: the data set"),
        (["--regions", "front=/front/labels"], "--regions names topics, and the data set"),
        (["--state-topic", "state"], "has no feature 'state'; it has observation.images.front"),
        (["--state-topic", "action", "--state-names", "a"], "has no 'a'; its names: hand_x"),
    ],
)
def test_what_does_not_fit_is_one_line(dataset, tmp_path, capsys, arguments, message):
    assert run(dataset, "--out", tmp_path / "out", *arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_data_set_that_cannot_be_read_is_skipped_among_others(dataset, tmp_path, capsys):
    broken = write_dataset(tmp_path / "broken")
    (broken / "meta/tasks.jsonl").write_text("{")
    assert run(broken, "--out", tmp_path / "out") == 2
    assert "cannot read the data set" in capsys.readouterr().err
    assert run(broken, dataset, "--out", tmp_path / "out2") == 1
    printed = capsys.readouterr()
    assert "analyze_bag: skipped: cannot read the data set" in printed.err
    assert "analyze_bag: 5 frames" in printed.out
