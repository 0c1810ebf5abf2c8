# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Two robots at once: nodes of one name in namespaces of their own, with topics of their own."""

import pytest
from harness import CAMERAS, Robot
from std_msgs.msg import Float32

NODES = ("/left/iss_node", "/right/iss_node")


@pytest.fixture(scope="module")
def nodes(launch, small):
    names = {"image_transport": "raw", "image_reliability": "reliable", **small}
    remapped = [f"~/input/{camera}/image:=/rig/{camera}/rgb" for camera in CAMERAS]
    left = launch("iss_node", "-r", "__ns:=/left", **names)
    right = launch(
        "iss_node", "-r", "__ns:=/right", *(part for rule in remapped for part in ("-r", rule)), **names
    )
    yield left, right
    for process in (left, right):
        status, _ = process.end()
        assert status == 0
        assert "Traceback" not in process.log


class RemappedRobot(Robot):
    """A robot whose cameras publish where the launch file's remappings say."""

    def topic(self, name):
        camera, _, kind = name.partition("/")
        return f"/rig/{camera}/rgb" if kind == "image" else super().topic(name)


def test_each_robot_has_its_own_topics_results_and_diagnostics(nodes, probe):
    left, right = Robot(probe, NODES[0]), RemappedRobot(probe, NODES[1])
    heard = {name: probe.collect(Float32, f"{name}/output/nmr") for name in NODES}

    def explained(name):
        return int(probe.value(f"{name}: pipeline", "frames done") or 0)

    for name in NODES:
        probe.until_status(f"{name}: pipeline", "no image from front, wrist")
    left.instruct("press the button")
    left.until(lambda: explained(NODES[0]) >= 3, "the left robot explained")
    probe.until(lambda: heard[NODES[0]], "its NMR heard")
    assert (explained(NODES[1]), heard[NODES[1]]) == (0, [])
    assert probe.status(f"{NODES[1]}: camera front")[1] == "no image yet"
    right.instruct("open the drawer")
    right.until(lambda: explained(NODES[1]) >= 3, "the right robot explained")
    probe.until(lambda: heard[NODES[1]], "its NMR heard")
    assert probe.value(f"{NODES[0]}: NMR", "instruction") == "press the button"
    assert probe.value(f"{NODES[1]}: NMR", "instruction") == "open the drawer"
    tasks = {name.split(": ")[1] for name in probe.diagnostics}
    assert set(probe.diagnostics) == {f"{name}: {task}" for name in NODES for task in tasks}
    assert probe.node.count_subscribers("/rig/front/rgb") == 1
    assert probe.node.count_subscribers("/right/iss_node/input/front/image") == 0
