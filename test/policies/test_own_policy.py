# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The example in docs/policies.md, installed and used as the page says."""

import re
from pathlib import Path

import pytest

from vla_iss_ros.cli.check_policy import main
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import load_policy

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")


def install(directory: Path, code: str, monkeypatch) -> None:
    """Lay out a distribution with one entry point and put it on the path."""
    (directory / "own_policy.py").write_text(code)
    about = directory / "own_policy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-policy\nVersion: 1.0\n")
    toml = re.search(r"```toml\n\[project\.entry-points\.\"(.+?)\"\]\n(.+?) = \"(.+?)\"\n```", PAGE)
    assert toml
    (about / "entry_points.txt").write_text(f"[{toml[1]}]\n{toml[2]} = {toml[3]}\n")
    monkeypatch.syspath_prepend(directory)
    monkeypatch.delitem(__import__("sys").modules, "own_policy", raising=False)


@pytest.fixture
def example() -> str:
    return re.search(r"```python\n(.+?)```", PAGE, re.DOTALL)[1]


def test_the_example_passes_the_checker(tmp_path, example, monkeypatch, capsys):
    install(tmp_path, example, monkeypatch)
    status = main(["--policy", "reach", "--device", "cpu", "--synthetic"])
    printed = capsys.readouterr().out
    assert "FAIL" not in printed.replace("FAIL  time", "")  # a clock under load is no property of the example
    assert status == 0 or "FAIL  time" in printed


def test_the_example_is_short(example):
    code = [line for line in example.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(code) <= 15


def test_code_that_raises_is_one_line(tmp_path, monkeypatch):
    install(tmp_path, "def load(path, device):\n    raise RuntimeError('no\\nweights')\n", monkeypatch)
    with pytest.raises(
        PolicyError, match="'reach' of own_policy:load did not load: RuntimeError: no weights"
    ):
        load_policy("reach:/x", "cpu")


def test_what_is_no_policy_is_told_what_lacks(tmp_path, monkeypatch):
    install(tmp_path, "def load(path, device):\n    return object()\n", monkeypatch)
    with pytest.raises(PolicyError, match=r"has no spec; see docs/policies\.md"):
        load_policy("reach", "cpu")


def test_an_unknown_type_names_the_group():
    with pytest.raises(PolicyError, match=r"entry point of the group vla_iss_ros\.policies"):
        load_policy("nothing:x", "cpu")
