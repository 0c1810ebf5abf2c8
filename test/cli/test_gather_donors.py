# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The command gather_donors."""

import json
import subprocess
import sys

import cv2
import pytest
from bag_factory import colour, jpeg, picture, sample_messages, write_bag
from lerobot_factory import picture as dataset_picture
from lerobot_factory import write_dataset

from vla_iss_ros.cli.gather_donors import main
from vla_iss_ros.policies.donors import load_donors

LENGTHS = (5, 4, 3)


@pytest.fixture
def sample(tmp_path):
    return write_bag(tmp_path / "sample", sample_messages(LENGTHS))


def run(*arguments):
    return main([str(argument) for argument in arguments])


def manifest(directory):
    return json.loads((directory / "donors.json").read_text())["frames"]


def test_it_writes_a_donor_set_and_one_line(sample, tmp_path, capsys):
    out = tmp_path / "donors"
    assert run(sample, "--out", out, "--count", 6) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith(
        "gather_donors: wrote 6 of 6 moments from 3 episodes, cameras front, wrist, 0."
    )
    assert printed.out.count("\n") == 1
    frames = manifest(out)
    assert [frame["camera"] for frame in frames] == ["front"] * 6 + ["wrist"] * 6
    assert [frame["file"] for frame in frames[:2]] == ["front/000.jpg", "front/001.jpg"]
    # Both cameras at the same moments, two moments of each episode.
    assert [frame["source"] for frame in frames[:6]] == [frame["source"] for frame in frames[6:]]
    assert [frame["instruction"] for frame in frames[:6]] == [f"do task {n}" for n in (0, 0, 1, 1, 2, 2)]
    assert frames[0]["source"].startswith("sample, episode 0, 100")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["donors", "sample"]


def test_jpeg_bytes_are_copied(sample, tmp_path):
    out = tmp_path / "donors"
    run(sample, "--out", out, "--count", 12)
    recorded = {
        jpeg(picture(episode, index)) for episode, length in enumerate(LENGTHS) for index in range(length)
    }
    assert {(out / frame["file"]).read_bytes() for frame in manifest(out)} == recorded


def test_the_set_can_be_loaded(sample, tmp_path):
    run(sample, "--out", tmp_path / "donors", "--count", 3)
    donors = load_donors(tmp_path / "donors", ["front", "wrist"], 4)
    assert [donor.instruction for donor in donors] == ["do task 0", "do task 1", "do task 2"]
    assert abs(int(donors[1].images["wrist"][0, 0, 0]) - colour(1, 0)[0]) <= 3


def test_the_seed_decides(sample, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(sample, "--out", tmp_path / name, "--count", 4, "--seed", seed)
    assert manifest(tmp_path / "a") == manifest(tmp_path / "b")
    assert manifest(tmp_path / "a") != manifest(tmp_path / "c")


def test_fewer_frames_than_asked_for(sample, tmp_path, capsys):
    assert run(sample, "--out", tmp_path / "donors", "--count", 100) == 0
    assert "wrote 12 of 100 moments" in capsys.readouterr().out


def test_other_topics(tmp_path):
    messages = [
        (
            "/cam"
            if topic.startswith("/front/image")
            else "/say"
            if topic == "/instruction"
            else "/x" + topic,
            message,
            s,
        )
        for topic, message, s in sample_messages(LENGTHS)
    ]
    path = write_bag(tmp_path / "bag", messages)
    options = ["--image", "top=/cam", "--instruction-topic", "/say", "--episode-topic", "/x/episode"]
    assert run(path, "--out", tmp_path / "donors", "--count", 3, *options) == 0
    assert [(frame["camera"], frame["instruction"]) for frame in manifest(tmp_path / "donors")] == [
        ("top", f"do task {n}") for n in range(3)
    ]


def test_an_existing_set_is_kept_unless_overwritten(sample, tmp_path, capsys):
    out = tmp_path / "donors"
    assert run(sample, "--out", out, "--count", 2) == 0
    assert run(sample, "--out", out, "--count", 3) == 2
    assert "exists already" in capsys.readouterr().err
    assert len(manifest(out)) == 4
    assert run(sample, "--out", out, "--count", 3, "--overwrite") == 0
    assert len(manifest(out)) == 6
    assert sorted(file.name for file in tmp_path.iterdir()) == ["donors", "sample"]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--count", "0"], "count must be at least 1, got 0"),
        (["--slop", "-1"], "slop must be at least 0 s, got -1.0"),
        (["--gap", "0", "--episode-topic", ""], "gap must be above 0 s, got 0.0"),
        (["--image", "front"], "--image must be CAMERA=TOPIC, got 'front'"),
        (["--image", "../x=/t"], "got '../x=/t'"),
        (["--image", "a=/t", "--image", "a=/u"], "names camera 'a' twice"),
        (["--image", "a=/absent"], "no images of camera 'a' on '/absent'; its topics: /"),
    ],
)
def test_unusable_options_give_one_line(sample, tmp_path, capsys, options, shown):
    assert run(sample, "--out", tmp_path / "donors", *options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("gather_donors: ")
    assert printed.err.count("\n") == 1
    assert shown in printed.err
    assert not (tmp_path / "donors").exists()


def test_unusable_bags_give_one_line(sample, tmp_path, capsys):
    (sample / "sample.mcap").write_bytes(b"junk")
    for bag, shown in ((tmp_path / "absent", "does not exist"), (sample, "cannot read bag")):
        assert run(bag, "--out", tmp_path / "donors") == 2
        printed = capsys.readouterr().err
        assert shown in printed
        assert printed.count("\n") == 1


def test_it_runs_as_a_program(sample, tmp_path):
    command = [
        sys.executable,
        "-m",
        "vla_iss_ros.cli.gather_donors",
        str(sample),
        "--out",
        str(tmp_path / "donors"),
    ]
    done = subprocess.run([*command, "--count", "2"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert cv2.imread(str(tmp_path / "donors" / "wrist" / "001.jpg")).shape == (16, 24, 3)


@pytest.mark.parametrize("images", [False, True])
def test_a_data_set_gives_donors(tmp_path, capsys, images):
    dataset = write_dataset(tmp_path / "tiny", "v3.0", (5, 4), images=images)
    out = tmp_path / "donors"
    assert run(dataset, "--out", out, "--count", 4) == 0
    said = capsys.readouterr().out.splitlines()
    assert "camera front: observation.images.front" in said[0]
    assert "state: none" in said[0]
    assert said[-1].startswith("gather_donors: wrote 4 of 4 moments from 2 episodes, cameras front, wrist, ")
    frames = manifest(out)
    assert [frame["instruction"] for frame in frames[:4]] == ["task 0", "task 0", "task 1", "task 1"]
    for frame in frames:
        episode = int(frame["instruction"].split()[-1])
        seconds = float(frame["source"].split()[-2])
        index = round(10 * (seconds - 1 - episode)) - 5 * episode
        found = cv2.imread(str(out / frame["file"]))[..., ::-1].astype(int)
        assert abs(found - dataset_picture(episode, index, frame["camera"])).max() <= (0 if images else 4)
    assert load_donors(out, ["front", "wrist"], 4)


def test_a_data_set_has_no_topics(tmp_path, capsys):
    dataset = write_dataset(tmp_path / "tiny")
    assert run(dataset, "--out", tmp_path / "donors", "--episode-topic", "/episode") == 2
    assert "--episode-topic /episode: the data set" in capsys.readouterr().err
