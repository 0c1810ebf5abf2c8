# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The tables of README.md against running nodes: topics, services, diagnostics keys."""

import json
import re
from pathlib import Path

import pytest
from harness import CAMERAS, Robot
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from rclpy.parameter import parameter_value_to_python
from tiny_bag import write_bag

TEXT = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
# Parameters, lifecycle and logs, as every managed node has them.
ROS_TOPICS = {"/parameter_events", "/rosout", "/clock"}
NODE = "/iss_node"
ROS_PARAMETERS = ("use_sim_time", "qos_overrides", "start_type_description_service")


def section(title):
    return re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def documented_keys():
    """Return (status, key) as documented, with <placeholders>."""
    found = []
    for line in section("Keys in /diagnostics").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and "`" in cells[1]:
            found += [(cells[0], key) for key in re.findall(r"`([^`]+)`", cells[1])]
    return found


def matches(pattern, key):
    return re.fullmatch(re.sub(r"<\w+>", ".+", re.sub(r"([@()])", r"\\\1", pattern)), key)


@pytest.fixture(scope="module")
def explained(launch, probe, small):
    launch("iss_node", **small, image_transport="raw")
    robot = Robot(probe, NODE)
    robot.instruct()
    robot.until(lambda: probe.value(f"{NODE}: NMR", "seconds latency"), "an explained frame")
    return probe


def test_topics_are_the_documented_ones(explained):
    node = explained.node
    seen = {
        name
        for pairs in (
            node.get_publisher_names_and_types_by_node("iss_node", "/"),
            node.get_subscriber_names_and_types_by_node("iss_node", "/"),
        )
        for name, _ in pairs
        if name not in ROS_TOPICS and not name.endswith("/transition_event")
    }
    table = section("Topics of `iss_node`").replace(
        "` (+ `/compressed`)", "` `~/output/<camera>/overlay/compressed`"
    )
    documented = set()
    for name in re.findall(r"`(~/(?:input|output)/[\w/<>]+|/diagnostics)`", table):
        cameras = CAMERAS if "<camera>" in name else ("",)
        documented |= {name.replace("~", NODE).replace("<camera>", camera) for camera in cameras}
    assert documented - {f"{NODE}/output/action_chunk"} == seen


def test_services_are_the_documented_ones(explained):
    services = {name for name, _ in explained.node.get_service_names_and_types_by_node("iss_node", "/")}
    documented = {name.replace("~", NODE) for name in re.findall(r"`(~/\w+)`", section("Services"))}
    assert documented <= services
    undocumented = services - documented
    assert all(re.search(r"parameter|type_description", name) for name in undocumented)


def test_every_key_of_the_diagnostics_is_documented_and_there_is_what_is_promised(explained):
    seen = set()
    for name, status in explained.diagnostics.items():
        task = re.sub(r"^camera .*", "camera", name.split(": ", 1)[1])
        seen |= {(task, pair.key) for pair in status.values}
    documented = documented_keys()
    for task, key in seen:
        assert any(task == status and matches(pattern, key) for status, pattern in documented), (task, key)
    # Keys with a placeholder may stand for cases that this robot does not have.
    for status, pattern in documented:
        if status in ("pipeline", "camera", "NMR") and "<" not in pattern:
            assert any(status == task and matches(pattern, key) for task, key in seen), (status, pattern)


@pytest.mark.parametrize("name", ["bag_player", "output_recorder"])
def test_parameters_of_the_other_nodes_are_the_documented_ones(launch, probe, tmp_path, name):
    bag = write_bag(tmp_path / "tiny") if name == "bag_player" else tmp_path / "new"
    waiting = {"wait_for_subscribers": 5, "wait_timeout": 300.0} if name == "bag_player" else {}
    launch(name, bag=str(bag), **waiting)
    table = section("Parameters").split(f"| parameter of `{name}` |")[1].split("\n\n")[0]
    documented = {
        cells[0].strip("`"): cells
        for line in table.splitlines()[2:]
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 5
    }
    declared = probe.call(ListParameters, f"/{name}/list_parameters", ListParameters.Request()).result.names
    own = [each for each in declared if not each.startswith(ROS_PARAMETERS)]
    assert set(own) == set(documented)
    descriptors = probe.call(
        DescribeParameters, f"/{name}/describe_parameters", DescribeParameters.Request(names=own)
    ).descriptors
    assert {each.name: each.description for each in descriptors} == {
        each: cells[4] for each, cells in documented.items()
    }
    # A value that is given is no default, and what is not set has no value to ask for.
    given = ("bag", *waiting)
    own = [each for each in own if each not in given and documented[each][2] != "not set"]
    values = probe.call(GetParameters, f"/{name}/get_parameters", GetParameters.Request(names=own)).values
    assert {each: documented[each][2] for each in own} == {
        each: f"`{in_words(parameter_value_to_python(value))}`"
        for each, value in zip(own, values, strict=True)
    }


def in_words(value):
    """Return a default as the tables have it."""
    return f"[{', '.join(value)}]" if isinstance(value, list) else json.dumps(value)
