# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import csv
import os
import re
import subprocess
import sys

import pytest
from bag_factory import sample_messages, write_bag
from processes import processes_of_session, wait_until

from vla_iss_ros.cli.rank_policies import directory_names, main
from vla_iss_ros.policies.loading import shipped_samples

FAST = ["--samples", "32", "--grid", "3", "--estimator", "spatial", "--nmr-size", "32", "--no-effects"]
CLEAN, SHORTCUT = (
    f"builtin:{shipped_samples() / 'policies' / name}.safetensors" for name in ("clean", "shortcut")
)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "tiny", sample_messages((3, 3)))


def command(out, *bags, policies=(CLEAN, SHORTCUT)):
    named = [each for policy in policies for each in ("--policy", policy)]
    return [*map(str, bags), "--out", str(out), *FAST, *named]


def test_one_line_a_policy_best_first(bag, tmp_path, capsys):
    ranking = command(tmp_path / "out", bag)
    assert main(ranking) == 0
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines[0].startswith("rank_policies: 1. builtin:")
    assert "below it with probability" in lines[0]
    assert lines[1].startswith("rank_policies: 2. builtin:")
    with (tmp_path / "out" / "ranking.csv").open() as file:
        found = list(csv.DictReader(file))
    assert float(found[0]["nmr_10"]) <= float(found[1]["nmr_10"])
    assert (tmp_path / "out" / "ranking.png").read_bytes().startswith(b"\x89PNG")
    assert main([*ranking, "--fail-above", "-1"]) == 3
    assert main([*ranking, "--policy", CLEAN]) == 2
    assert "must name different policies" in capsys.readouterr().err


def test_a_recording_that_is_skipped_is_named_and_makes_the_status_1(bag, tmp_path, capsys):
    whole = (bag / "tiny.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    ranking = command(tmp_path / "out", bag, tmp_path / "cut.mcap")
    assert main(ranking) == 1
    shown = capsys.readouterr().err
    assert re.search(r"rank_policies: \S*shortcut.safetensors: skipped: cannot read bag .*cut.mcap", shown)
    assert main([*ranking, "--fail-above", "1"]) == 1
    assert main([*ranking, "--fail-above", "-1"]) == 3


def test_what_is_left_out_is_told_by_policy(tmp_path, capsys):
    messages = list(sample_messages((3,)))
    broken = [each for each in messages if each[0] != "/wrist/image/compressed" or each[2] < messages[-1][2]]
    assert main(command(tmp_path / "out", write_bag(tmp_path / "tiny", broken))) == 0
    shown = capsys.readouterr().err
    for policy in (CLEAN, SHORTCUT):
        reason = r"left out or missing: image of wrist: none within the slop: 1"
        assert re.search(rf"^rank_policies: {re.escape(policy)}: {reason}", shown, re.MULTILINE)


@pytest.mark.parametrize("threshold", ["nan", "inf"])
def test_a_threshold_that_nothing_can_be_above_is_refused(bag, tmp_path, capsys, threshold):
    assert main([*command(tmp_path / "out", bag), "--fail-above", threshold]) == 2
    assert f"--fail-above must be a finite number, got {threshold}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_policy_that_is_not_there_is_named_before_any_work(bag, tmp_path, capsys):
    assert main(command(tmp_path / "out", bag, policies=[CLEAN, "builtin:/nowhere"])) == 2
    assert "/nowhere" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_policy_in_front_leaves_what_is_there(bag, tmp_path):
    assert main(command(tmp_path / "out", bag, policies=[SHORTCUT])) == 0
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/*/pieces/*.piece")}
    assert main(command(tmp_path / "out", bag)) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(tmp_path.glob("out/*/run.json"))) == 2


def test_directories_have_the_names_of_the_policies():
    assert directory_names(["builtin", "openpi:a:80?preset=droid"]) == ["builtin", "openpi_a_80_preset_droid"]
    assert directory_names(["builtin:a/b", "builtin", "builtin:a b"]) == [
        "builtin_a_b-1",
        "builtin",
        "builtin_a_b-2",
    ]
    assert directory_names(["x:a/b", "x:a-b", "x:a b", "x:a_b-1"])[::2] == ["x_a_b-2", "x_a_b-3"]


def test_sigterm_ends_it_as_ctrl_c_does(bag, tmp_path):
    ranking = command(tmp_path / "out", bag)
    # Slow enough to be stopped in between.
    ranking[ranking.index("--samples") + 1] = "256"
    process = subprocess.Popen(
        [sys.executable, "-m", "vla_iss_ros.cli.rank_policies", *ranking, "--engine", "processes"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: list(tmp_path.glob("out/*/pieces/*.piece")) or process.poll() is not None, 120)
    process.terminate()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "rank_policies: interrupted; start it again to go on"
    wait_until(lambda: not processes_of_session(process.pid))
