# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""iss_node whose second camera stops, with another image in its place."""

from types import SimpleNamespace

import numpy as np
import pytest
from harness import Robot, number
from sensor_msgs.msg import Image

from vla_iss_ros import settings
from vla_iss_ros.iss.nmr import undefined
from vla_iss_ros.render.overlay import STOOD_IN
from vla_iss_ros.ros import outputs
from vla_iss_ros.ros.decoding import Decoder
from vla_iss_ros.ros.inputs import Frame

WARN = 1


@pytest.mark.parametrize("kind", ["hold", "blank"])
def test_frames_without_a_camera_are_explained_and_marked_until_it_returns(launch, probe, small, kind, saw):
    node = f"/{kind}_node"
    chosen = {**small, "missing_camera": kind, "missing_camera_after": 0.25}
    process = launch(
        "iss_node",
        "-r",
        f"__node:={node[1:]}",
        **chosen,
        image_transport="raw",
        image_reliability="reliable",
    )
    robot = Robot(probe, node)
    robot.instruct()
    overlays = probe.collect(Image, f"{node}/output/wrist/overlay")

    def stood_in():
        return probe.value(f"{node}: NMR", "cameras stood in for")

    robot.until_explained(2)
    robot.until(lambda: stood_in() == "none", "whole frames")
    assert number(probe, node, "frames with an image that stood in") == 0

    def without_wrist():
        robot.stamp += 100_000_000
        probe.publish(robot.topic("joint_states"), robot.joint_state())
        probe.publish(robot.topic("front/image"), robot.image("front"), Robot.RELIABLE)

    before = len(overlays)
    robot.until(lambda: stood_in() == "wrist" and len(overlays) > before, "the missing camera", without_wrist)
    assert number(probe, node, "frames with an image that stood in") > 0
    robot.until(lambda: probe.status(f"{node}: pipeline")[0] == WARN, "the warning", without_wrist)
    robot.until(lambda: stood_in() == "none", "the camera's return")
    assert number(probe, node, "errors") == 0
    status, _ = process.end()
    assert (status, "Traceback" in process.log) == (0, False)
    saw("explained with another image, marked in the overlay and in /diagnostics until the camera returned")


def test_the_overlay_of_a_missing_camera_says_so():
    headline = undefined([10], "no regions")[10]
    result = SimpleNamespace(
        headline=headline,
        level=b"\0",
        frame=SimpleNamespace(stood_in={"wrist"}),
        explanation=SimpleNamespace(samples=8, stop_reason="time budget", words=()),
        observation=SimpleNamespace(instruction="press it"),
    )
    assert outputs._legend(result, "wrist", adapts=True).state == STOOD_IN
    assert outputs._legend(result, "front", adapts=True).state == "no NMR: no regions"


@pytest.mark.parametrize(("kind", "mean"), [("hold", 200), ("blank", 0), ("wait", 200)])
def test_a_black_image_stands_in_where_asked_for(kind, mean):
    pixels = np.full((4, 6, 3), 200, np.uint8)
    image = Image(height=4, width=6, encoding="rgb8", step=18, data=pixels.tobytes())
    inputs = SimpleNamespace(
        sources=SimpleNamespace(images={camera: SimpleNamespace(size=None) for camera in ("front", "wrist")}),
        instruction=lambda fallback: fallback,
    )
    frame = Frame({"front": image, "wrist": image}, {"front": 9, "wrist": 5}, 0.0, frozenset({"wrist"}))
    chosen = settings.check({"missing_camera": kind, "instruction": "press"})
    images = Decoder(inputs, None, takes_state=False).observation(frame, chosen).images
    assert {camera: found.mean() for camera, found in images.items()} == {"front": 200, "wrist": mean}
