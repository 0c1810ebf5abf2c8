# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What docs/deployment.md and docs/no_harm.md name exists; every diagnostic falls into one group of the aggregator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from vla_iss_ros.settings import BY_NAME, check
from vla_iss_ros.settings.parameter_files import parameter_of

ROOT = Path(__file__).parents[1]
TEXT = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("deployment.md", "no_harm.md"))


def arguments_of(name: str) -> set[str]:
    text = (ROOT / "launch" / name).read_text(encoding="utf-8")
    return set(re.findall(r'DeclareLaunchArgument\(\s*"(\w+)"', text))


@pytest.mark.parametrize("name", ["iss.launch.py", "replay.launch.py", "monitor.launch.py"])
def test_launch_arguments_exist(name):
    lines = re.findall(rf"{re.escape(name)}([^\n`]*)", TEXT)
    assert lines
    for line in lines:
        assert set(re.findall(r"(\w+):=", line)) <= arguments_of(name)


def test_files_and_settings_exist():
    for path in re.findall(r"(?:config|benchmarks|rviz)/[\w.]+", TEXT):
        assert (ROOT / path).is_file()
    launched = set().union(*(arguments_of(path.name) for path in (ROOT / "launch").glob("*.launch.py")))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TEXT))
    others = {"iss_node", "policy_node", "analyze_bag", "set_default_active_thread_percentage", "frame_id"}
    assert named - others <= set(BY_NAME) | launched
    assert {"alarm_frames", "agreement_tolerance", "nmr_warn_ratio", "max_batch_ms"} <= named


def test_the_parameters_to_begin_with_are_accepted():
    (example,) = (text for text in re.findall(r"```yaml\n(.+?)```", TEXT, re.DOTALL) if "/iss_node:" in text)
    check(yaml.safe_load(example)["/iss_node"]["ros__parameters"])


def test_one_file_gives_each_of_two_robots_its_own(tmp_path):
    (example,) = (text for text in re.findall(r"```yaml\n(.+?)```", TEXT, re.DOTALL) if "right:" in text)
    path = tmp_path / "robots.yaml"
    path.write_text(example, encoding="utf-8")
    assert parameter_of(path, "/left/iss_node", "cameras") == ["front", "wrist"]
    assert parameter_of(path, "/right/iss_node", "cameras") == ["top"]
    for node in ("/left/iss_node", "/right/iss_node"):
        check({"max_rate": parameter_of(path, node, "max_rate")})


def test_every_status_falls_into_one_group_of_the_aggregator():
    parameters = yaml.safe_load((ROOT / "config" / "diagnostics_aggregator.yaml").read_text())
    groups = [group for group in parameters["/**"]["ros__parameters"].values() if isinstance(group, dict)]
    tasks = ("NMR", "policy agreement", "pipeline", "camera front", "actions")
    for node in ("/iss_node", "/left/policy_node"):
        for task in tasks:
            name = f"{node}: {task}"
            assert sum(any(part in name for part in group["contains"]) for group in groups) == 1, name
