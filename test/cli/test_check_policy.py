# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
import re

import pytest
from bag_factory import sample_messages, write_bag

from vla_iss_ros.analysis import policy_use
from vla_iss_ros.analysis.policy_check import CHECKS
from vla_iss_ros.cli import check_policy as module
from vla_iss_ros.cli.check_policy import main


@pytest.fixture(autouse=True)
def _any_speed(monkeypatch):
    """Do not judge the speed of the computer that runs the tests."""
    monkeypatch.setattr(policy_use, "WORST_RATIO", float("inf"))


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_the_shipped_policy_passes(tmp_path, capsys):
    file = tmp_path / "checks.json"
    assert run("--device", "cpu", "--json", file) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert printed.err == ""
    assert lines[0] == "check_policy: builtin (clean) on 8 frames of the sample bag"
    assert [line[:4] for line in lines[1:-1]] == ["pass"] * 6 + ["skip"] + ["pass"] * 6
    assert lines[-1] == "check_policy: 12 passed, 0 failed"
    written = json.loads(file.read_text())
    assert written["policy"] == "builtin"
    assert [check["name"] for check in written["checks"]] == [name for name, _ in CHECKS]
    assert written["checks"][11]["values"]["everything"] > 0


def test_a_failure_is_the_status_and_says_what_to_do(capsys):
    # Nothing is as exact as this, so rounding itself fails.
    assert run("--device", "cpu", "--synthetic", "--tolerance", "1e-30") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "check_policy: builtin (clean) on 8 synthetic frames"
    at = next(index for index, line in enumerate(lines) if line.startswith("FAIL  batch invariance"))
    assert lines[at + 1].strip().startswith("-> rows must not share statistics")
    assert re.fullmatch(r"check_policy: \d+ passed, [1-9]\d* failed", lines[-1])


def test_figures_that_are_not_finite_are_null(tmp_path, monkeypatch, capsys):
    check = module.Check("c", "FAIL", "f", "r", {"difference": float("nan")})
    monkeypatch.setattr(module, "check_policy", lambda *_: [check])
    assert run("--device", "cpu", "--synthetic", "--json", tmp_path / "c.json") == 1
    assert json.loads((tmp_path / "c.json").read_text())["checks"][0]["values"] == {"difference": None}
    assert capsys.readouterr().out.endswith("check_policy: 0 passed, 1 failed\n")


def test_results_are_shown_even_where_the_file_cannot_be_written(capsys):
    assert run("--device", "cpu", "--synthetic", "--json", "/absent/c.json") == 2
    printed = capsys.readouterr()
    assert printed.out.endswith("check_policy: 12 passed, 0 failed\n")
    assert printed.err == "check_policy: [Errno 2] No such file or directory: '/absent/c.json'\n"


def test_a_bag_of_the_users(tmp_path, capsys):
    bag = write_bag(tmp_path / "bag", sample_messages((3, 2)))
    status = run("--device", "cpu", "--bag", bag, "--state-names", "hand_x", "hand_y", "hand_z", "gripper")
    printed = capsys.readouterr()
    assert status == 0, printed.out
    assert printed.out.startswith(f"check_policy: builtin (clean) on 5 frames of {bag}\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--policy", "magic"], "got 'magic'"),
        (["--bag", "/absent"], "bag '/absent' does not exist"),
        (["--bag", "/absent", "--image", "front"], "--image must be CAMERA=TOPIC, got 'front'"),
        (["--synthetic", "--tolerance", "0"], "tolerance must be above 0, got 0.0"),
    ],
)
def test_what_cannot_be_checked_gives_one_line(capsys, options, message):
    assert run("--device", "cpu", *options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("check_policy: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
