# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest

from vla_iss_ros.analysis import policy_use
from vla_iss_ros.cli import check_policy
from vla_iss_ros.cli.export_policy import main
from vla_iss_ros.policies.loading import load_policy


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Return where the shipped policy was exported to, and the command's status."""
    out = tmp_path_factory.mktemp("export") / "clean"
    return out, main(["--out", str(out)])


def test_the_shipped_policy_is_exported(shipped):
    out, status = shipped
    assert status == 0
    policy = load_policy(f"exported:{out}", "cpu")
    assert (policy.spec.name, policy.spec.camera_names) == ("clean", ("front", "wrist"))
    assert sorted(path.name for path in out.iterdir()) == ["act.onnx", "encode.onnx", "manifest.json"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["clean"]


def test_one_line_tells_what_was_written(tmp_path, capsys):
    out = tmp_path / "clean"
    assert main(["--out", str(out), "--kind", "pt2", "--space", "pixel"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("export_policy: wrote builtin as pt2, 2.")
    assert printed.out.endswith(f"use it as policy exported:{out}\n")
    assert printed.out.count("\n") == 1


def test_what_was_written_passes_every_check(shipped, capsys, monkeypatch):
    # The speed of the computer that runs the tests is not judged.
    monkeypatch.setattr(policy_use, "WORST_RATIO", float("inf"))
    assert check_policy.main(["--policy", f"exported:{shipped[0]}", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "check_policy: 12 passed, 0 failed"
    assert [line[:4] for line in lines if "token" in line] == ["pass", "pass"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--policy", "magic"], "got 'magic'"),
        (["--policy", "builtin:/absent"], "no checkpoint at '/absent'"),
        (["--policy", "exported"], "exported needs a directory made by export_policy"),
    ],
)
def test_unusable_options_give_one_line(tmp_path, capsys, options, message):
    assert main([*options, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("export_policy: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_kept(shipped, capsys):
    out, _ = shipped
    assert main(["--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
