# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import csv

from bag_factory import sample_messages, write_bag

from vla_iss_ros.cli.analyze_bag import main as analyze_bag
from vla_iss_ros.cli.correlate import main
from vla_iss_ros.policies.loading import shipped_samples


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_tables_end_in_one_line(tmp_path, capsys):
    (tmp_path / "n.csv").write_text("task,nmr_10\na,0.1\nb,0.3\nc,0.5\nd,0.6\n")
    (tmp_path / "s.csv").write_text("task,success\na,0.9\nb,0.6\nc,0.4\nd,0.1\n")
    out = tmp_path / "out"
    assert run(tmp_path / "n.csv", tmp_path / "s.csv", "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "correlate: rows are matched by task; intervals draw task"
    assert lines[-1].startswith("correlate: NMR@10 and success over 4 points: r = -0.98 [")
    assert sorted(path.name for path in out.iterdir()) == ["correlation.csv", "correlation.png"]


def test_what_is_averaged_and_what_is_missing_is_said(tmp_path, capsys):
    (tmp_path / "n.csv").write_text("policy,task,nmr_10\np,a,0.1\nq,a,0.2\np,b,0.3\np,c,0.5\np,d,0.6\n")
    (tmp_path / "s.csv").write_text("task,success\na,0.9\nb,0.6\nc,0.4\nd,\ne,1\n")
    assert run(tmp_path / "n.csv", tmp_path / "s.csv", "--out", tmp_path / "out") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == (
        "correlate: rows are matched by task, averaged over policy; intervals draw task"
    )
    assert "correlate: 1 of task are in one table alone" in printed.err
    assert "correlate: 1 rows of " in printed.err
    assert "have no success and are left out" in printed.err


def test_bad_tables_are_one_line(tmp_path, capsys):
    (tmp_path / "n.csv").write_text("task,nmr_5\na,0.1\n")
    (tmp_path / "s.csv").write_text("task,success\na,0.9\n")
    out = tmp_path / "out"
    assert run(tmp_path / "n.csv", tmp_path / "s.csv", "--out", out) == 2
    assert "has no column nmr_10; it has k = [5]" in capsys.readouterr().err
    assert not out.exists()
    assert run("/absent.csv", tmp_path / "s.csv", "--out", out) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_analyses_of_two_checkpoints_are_points_by_policy_and_episode(tmp_path, capsys):
    bag = write_bag(tmp_path / "tiny", sample_messages((1, 1, 1)))
    fast = ["--samples", "32", "--grid", "2", "--estimator", "spatial", "--nmr-size", "32", "--no-effects"]
    rows = []
    for name in ("clean", "shortcut"):
        policy = f"builtin:{shipped_samples() / 'policies' / name}.safetensors"
        assert analyze_bag([str(bag), "--policy", policy, "--out", str(tmp_path / name), *fast]) == 0
        for number in range(3):
            success = 0.9 - 0.2 * number - 0.1 * (name == "clean")
            rows.append((policy, f"tiny/{number}", f"task {number}", name, success))
    with (tmp_path / "success.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("policy", "episode", "task", "seed", "success"), *rows])
    capsys.readouterr()
    out = tmp_path / "out"
    assert run(tmp_path / "clean", tmp_path / "shortcut", tmp_path / "success.csv", "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "correlate: rows are matched by policy, episode; intervals draw task and seed"
    assert "NMR@10 and success over 6 points" in lines[-1]
    with (out / "correlation.csv").open() as file:
        assert {row["k"] for row in csv.DictReader(file)} >= {"5", "10", "20"}
