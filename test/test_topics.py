# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What RViz shows and the README promises, against what the nodes and launch files say, without ROS."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
OUTPUTS = (ROOT / "vla_iss_ros" / "ros" / "outputs.py").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def published() -> set[str]:
    """Return the outputs' names in the source, each camera as {camera}."""
    names = set()
    for node in ast.walk(ast.parse(OUTPUTS)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr not in ("_images", "_publisher"):
                continue
            for argument in node.args:
                if isinstance(argument, ast.JoinedStr):
                    parts = [
                        part.value if isinstance(part, ast.Constant) else "{camera}"
                        for part in argument.values
                    ]
                    names.add("".join(parts))
                elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    names.add(argument.value)
    return names


def arguments_of(name: str) -> set[str]:
    tree = ast.parse((ROOT / "launch" / name).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {call.args[0].value for call in calls if getattr(call.func, "id", "") == "DeclareLaunchArgument"}


def test_rviz_shows_topics_that_are_published():
    text = (ROOT / "rviz" / "iss.rviz").read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    shown = re.findall(r"Value: /?iss_node/output/(\S+)", text)
    assert {"front/overlay", "wrist/overlay", "chart", "marker"} <= set(shown)
    for name in shown:
        assert re.sub(r"^(front|wrist)/", "{camera}/", name) in published()


def test_the_reference_lists_every_output():
    for name in published() - {"{camera}/overlay/compressed"}:
        assert f"`~/output/{name.replace('{camera}', '<camera>')}`" in README


@pytest.mark.parametrize("name", ["iss.launch.py", "demo.launch.py", "replay.launch.py", "monitor.launch.py"])
def test_the_readme_gives_launch_arguments_that_exist(name):
    commands = README.replace("\\\n", " ")
    for line in re.findall(rf"{re.escape(name)}([^\n`]*)", commands):
        for argument in re.findall(r"(\w+):=", line):
            assert argument in arguments_of(name)


def test_replay_passes_on_what_the_nodes_take():
    tree = ast.parse((ROOT / "launch" / "replay.launch.py").read_text(encoding="utf-8"))
    passed = next(
        ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PASSED_ON"
    )
    assert set(passed) <= arguments_of("iss.launch.py")
    assert set(passed) <= arguments_of("replay.launch.py")
