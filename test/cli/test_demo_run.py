# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from vla_iss_ros.cli import demo_run
from vla_iss_ros.cli.demo_run import MARKER, check_replaceable, replace
from vla_iss_ros.cli.demo_session import NodeError


def finished(tmp_path, text="new"):
    path = tmp_path / ".partial"
    path.mkdir()
    (path / MARKER).write_text(text)
    return path


def test_finished_directory_takes_its_name(tmp_path):
    out = tmp_path / "demo_output"
    replace(out, finished(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["demo_output"]


def test_earlier_demo_is_replaced_as_a_whole(tmp_path):
    out = tmp_path / "demo_output"
    out.mkdir()
    (out / MARKER).write_text("old")
    (out / "old.png").write_text("old")
    replace(out, finished(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["demo_output"]
    assert {path.name: path.read_text() for path in out.iterdir()} == {MARKER: "new"}


def test_directory_of_something_else_is_never_replaced(tmp_path):
    out = tmp_path / "photos"
    out.mkdir()
    (out / "me.jpg").write_text("picture")
    with pytest.raises(ValueError, match="is not a demo's directory, so it is not replaced"):
        check_replaceable(out)


def test_failure_keeps_the_logs_and_the_earlier_demo(tmp_path, monkeypatch):
    out = tmp_path / "demo_output"
    replace(out, finished(tmp_path, "old"))

    def die(partial, *arguments):
        (partial / "logs").mkdir()
        (partial / "logs" / "clean.iss_node.log").write_text("last words")
        raise NodeError("iss_node ended with status 1")

    monkeypatch.setattr(demo_run, "_run_into", die)
    monkeypatch.setattr(demo_run, "make_plan", lambda *arguments: None)
    with pytest.raises(
        NodeError, match=r"iss_node ended with status 1\nlogs of all nodes are in .*failed/logs"
    ):
        demo_run.run(out, quick=True, seed=0, show=False)
    assert (out / MARKER).read_text() == "old"
    assert (tmp_path / "demo_output.failed" / "logs" / "clean.iss_node.log").read_text() == "last words"
    assert {path.name for path in tmp_path.iterdir()} == {"demo_output", "demo_output.failed"}


def test_directory_is_printed_as_it_was_given(tmp_path, monkeypatch):
    def finish(partial, out, *arguments):
        (partial / MARKER).write_text("new")
        return f"pictures in {out}"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo_run, "_run_into", finish)
    monkeypatch.setattr(demo_run, "make_plan", lambda *arguments: None)
    line = demo_run.run(Path("demo_output"), quick=True, seed=0, show=False)
    assert line == "pictures in demo_output"
    assert [path.name for path in tmp_path.iterdir()] == ["demo_output"]


def test_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_run, "_run_into", interrupt)
    monkeypatch.setattr(demo_run, "make_plan", lambda *arguments: None)
    with pytest.raises(KeyboardInterrupt):
        demo_run.run(tmp_path / "demo_output", quick=True, seed=0, show=False)
    assert list(tmp_path.iterdir()) == []
