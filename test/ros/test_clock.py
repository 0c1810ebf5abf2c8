# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Simulated time that starts again, as when a bag loops: what was carried from frame to frame is forgotten."""

import pytest
from builtin_interfaces.msg import Time
from harness import SECOND, Robot
from rosgraph_msgs.msg import Clock

from vla_iss_ros.messages.stamps import stamp_from_nanoseconds

NODE = "/iss_node"
PIPELINE, NMR = f"{NODE}: pipeline", f"{NODE}: NMR"


@pytest.fixture(scope="module")
def node(launch, small):
    process = launch(
        "iss_node", **small, image_transport="raw", image_reliability="reliable", use_sim_time=True
    )
    yield process
    status, _ = process.end()
    assert status == 0
    assert "Traceback" not in process.log


def test_a_clock_that_goes_back_resets_the_stream_and_is_told(node, probe):
    robot = Robot(probe, NODE)
    robot.instruct()

    def tick(stamp):
        probe.publish("/clock", Clock(clock=stamp_from_nanoseconds(stamp, Time)))

    def play():
        robot.send()
        tick(robot.stamp)

    def number(task, key):
        return int(float(probe.value(task, key) or 0))

    robot.until(lambda: number(NMR, "samples remembered") > 0, "a frame that remembers", play)
    assert probe.value(PIPELINE, "clock jumps back") == "0"
    again = "stream began anew: the clock went back"
    # /clock alone goes back: the bag starts again, and its first image is still to come.
    tick(robot.stamp - 40 * SECOND)
    robot.stamp -= 40 * SECOND
    probe.until(lambda: probe.value(PIPELINE, "clock jumps back") == "1", "the jump told")
    assert float(probe.value(PIPELINE, "last clock jump back (s)")) == pytest.approx(40.0, abs=1e-3)
    # Also when a frame was being explained as the clock went back.
    probe.until(lambda: probe.status(NMR)[1] == "no frame has been explained yet", "the result forgotten")
    robot.until(lambda: probe.value(NMR, again) == "1", "the stream began anew", play)
    robot.until(lambda: number(NMR, "samples remembered") > 0, "it remembers again", play)
    assert "the clock went back by 40.0 s, as when a bag starts again" in node.log
    assert "state forgotten: the clock went back" in node.log
    # Small steps of a clock from another computer are none.
    for step in range(5):
        tick(robot.stamp - (step % 2) * SECOND // 5)
    robot.until(lambda: number(PIPELINE, "frames done") > 5, "frames go on", play)
    assert probe.value(PIPELINE, "clock jumps back") == "1"
