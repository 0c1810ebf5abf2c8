# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A hundred cycles of the lifecycle: what a node takes from the system does not grow."""

import pytest
from harness import Robot

NODE = "/iss_node"
CYCLE = ("deactivate", "cleanup", "configure", "activate")
WARM_UP, CYCLES = 10, 100
# Share by which resident memory may be above what it was after the first cycles.
MOST_GROWTH = 0.05


@pytest.fixture(scope="module")
def node(launch, small, mood):
    process = launch(
        "iss_node",
        **{**small, "policy": f"faulty:{mood}"},
        image_transport="raw",
        image_reliability="reliable",
    )
    yield process
    status, _ = process.end()
    assert status == 0
    assert "Traceback" not in process.log


def test_a_hundred_cycles_leave_memory_threads_and_files_as_they_were(node, probe, saw):
    robot = Robot(probe, NODE)
    robot.instruct()
    robot.until_explained()
    for cycle in range(CYCLES):
        for label in CYCLE:
            assert probe.transition(NODE, label)
        if cycle + 1 == WARM_UP:
            robot.until_explained()
            before = node.usage()
    robot.until_explained()
    after = node.usage()
    grown = [last - first for first, last in zip(before, after, strict=True)]
    assert grown[0] < MOST_GROWTH * before[0]
    assert max(grown[1:]) <= 0
    saw(
        f"resident memory {100 * grown[0] / before[0]:+.1f} %, threads {grown[1]:+d}, files {grown[2]:+d}; "
        "the next good frame explained"
    )
