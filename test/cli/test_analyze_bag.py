# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import os
import re
import signal
import subprocess
import sys

import pytest
from bag_factory import sample_messages, write_bag
from message_factory import String

from vla_iss_ros.analysis.frame_table import read_table
from vla_iss_ros.cli.analyze_bag import main

FAST = ["--samples", "32", "--grid", "3", "--estimator", "spatial", "--nmr-size", "32"]


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "tiny", sample_messages((3, 2)))


def run(*arguments):
    return main([str(argument) for argument in (*arguments, *FAST)])


def test_it_shows_the_topics_first_and_ends_with_the_answer(bag, tmp_path, capsys):
    assert run(bag, "--policy", "builtin", "--out", tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "camera front: /front/image/compressed, camera wrist: /wrist/image/compressed" in lines[0]
    assert "labels of front: /front/regions" in lines[0]
    assert "state: /end_effector_state, instruction: /instruction, episode markers: /episode" in lines[0]
    assert re.fullmatch(
        r"analyze_bag: 5 frames, NMR@10 = [01]\.\d\d \[[01]\.\d\d, [01]\.\d\d\], report \S+/out/report\.html",
        lines[-1],
    )


def test_without_regions_the_last_line_says_why(bag, tmp_path, capsys):
    assert run(bag, "--out", tmp_path / "out", "--regions", "none", "--stride", "2") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("analyze_bag: 5 frames, NMR@10 = undefined (no regions: label images tell")


def test_topics_and_settings_from_the_file_of_the_nodes(tmp_path, capsys):
    messages = [(topic.replace("/front/image", "/a/b"), *rest) for topic, *rest in sample_messages((2,))]
    bag = write_bag(tmp_path / "other", [(t.replace("/wrist/image", "/c/d"), *r) for t, *r in messages])
    parameters = tmp_path / "params.yaml"
    parameters.write_text(
        "/**:\n  ros__parameters:\n    image_topics: /a/b/compressed, /c/d/compressed\n    seed: 3\n"
        "/**/iss_node:\n  ros__parameters:\n    nmr_percent: 20\n"
    )
    assert run(bag, "--out", tmp_path / "out", "--params", parameters) == 0
    shown = capsys.readouterr().out
    assert "camera front: /a/b/compressed" in shown
    assert "NMR@20 = " in shown
    parameters.write_text("/**:\n  ros__parameters:\n    colour: 1\n")
    assert run(bag, "--out", tmp_path / "out", "--params", parameters) == 2
    assert "unknown parameter 'colour'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("messages", "arguments", "reason"),
    [
        (
            [("/text", String("x"), 1)],
            [],
            "cannot tell the image topic of camera 'front'.*its image topics: none",
        ),
        (None, ["--image", "front=/front/image/compressed"], "names no topic of camera 'wrist'"),
        (None, ["--policy", "builtin:missing.safetensors"], "missing.safetensors"),
        (None, ["--state-topic", "", "--regions", "none"], "no frame could be explained: frame: .*state"),
        (None, ["--stride", "0"], "stride must be at least 1 frame, got 0"),
    ],
)
def test_what_cannot_be_done_is_one_line(bag, tmp_path, capsys, messages, arguments, reason):
    bag = bag if messages is None else write_bag(tmp_path / "bad", messages)
    assert run(bag, "--out", tmp_path / "out", *arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.search(reason, error), error


def test_a_truncated_file_is_named_with_what_to_do(bag, tmp_path, capsys):
    whole = (bag / "tiny.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    assert run(tmp_path / "cut.mcap", "--out", tmp_path / "out") == 2
    assert "mcap recover" in capsys.readouterr().err
    assert run(bag, tmp_path / "cut.mcap", "--out", tmp_path / "both") == 1
    shown = capsys.readouterr()
    assert "skipped: cannot read bag" in shown.err
    assert "analyze_bag: 5 frames" in shown.out


def test_unreadable_messages_are_counted_and_the_rest_is_explained(tmp_path, capsys):
    messages = list(sample_messages((4,)))
    broken = [
        (topic, type(message)(**{**vars(message), "data": message.data[:40]}), stamp)
        if topic == "/front/image/compressed" and stamp == messages[-1][2]
        else (topic, message, stamp)
        for topic, message, stamp in messages
    ]
    assert run(write_bag(tmp_path / "tiny", broken), "--out", tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert "analyze_bag: 3 frames" in shown.out
    assert re.search(r"left out or missing: image of front: .*: 1", shown.err)


def test_the_last_image_of_a_missing_camera_stands_in_and_the_table_says_so(tmp_path, capsys):
    messages = list(sample_messages((6,)))
    gone = [each for each in messages if not (each[0].startswith("/wrist") and each[2] > messages[0][2])]
    bag = write_bag(tmp_path / "tiny", gone)
    assert run(bag, "--out", tmp_path / "out") == 0
    assert "analyze_bag: 1 frames" in capsys.readouterr().out
    options = ["--missing-camera", "hold", "--missing-camera-after", "0.25"]
    assert run(bag, "--out", tmp_path / "out", *options) == 2
    assert "missing_camera was 'wait' and is now 'hold'" in capsys.readouterr().err
    assert run(bag, "--out", tmp_path / "out", *options, "--restart") == 0
    shown = capsys.readouterr()
    assert "analyze_bag: 4 frames" in shown.out
    assert "image of wrist: missing, another stood in: 3" in shown.err
    rows = read_table(tmp_path / "out/frames.parquet")
    assert [(row.frame, row.stood_in) for row in rows] == [(0, ""), *((n, "wrist") for n in (3, 4, 5))]


def test_outputs_can_be_left_out_and_added_later(bag, tmp_path, capsys):
    def written():
        return {name for name in ("maps", "front.mp4", "wrist.mp4", "analysis.mcap") if (out / name).exists()}

    out = tmp_path / "out"
    assert run(bag, "--out", out, "--without", "maps", "videos", "mcap") == 0
    assert written() == set()
    assert (out / "frames.csv").exists()
    assert (out / "report.html").exists()
    pieces = {path: path.stat().st_mtime_ns for path in out.glob("pieces/*.piece")}
    assert run(bag, "--out", out, "--without", "mcap") == 0
    assert written() == {"maps", "front.mp4", "wrist.mp4"}
    assert run(bag, "--out", out) == 0
    assert written() == {"maps", "front.mp4", "wrist.mp4", "analysis.mcap"}
    assert {path: path.stat().st_mtime_ns for path in out.glob("pieces/*.piece")} == pieces
    with pytest.raises(SystemExit):
        run(bag, "--out", out, "--without", "report")


def test_a_killed_process_loses_nothing_it_finished(tmp_path):
    bag = write_bag(tmp_path / "tiny", sample_messages((1,) * 6))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vla_iss_ros.cli.analyze_bag", str(bag), "--out", str(out)]
    # Slow enough to be killed in between; a segment an episode.
    command += ["--samples", "192", "--stride", "1"]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)
    while not list(out.glob("pieces/*.piece")):
        assert process.poll() is None, process.stderr.read().decode()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("pieces/*.piece")}
    assert 1 <= len(kept) < 6
    assert not list(out.glob("frames.*"))
    assert main([str(bag), "--out", str(out), "--samples", "192"]) == 0
    assert len(read_table(out / "frames.csv")) == 6
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(out.rglob("*.partial"))
