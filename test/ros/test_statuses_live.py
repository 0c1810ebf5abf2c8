# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a running node's diagnostics say of cameras whose stamps do not match, of old problems, and of commands."""

import pytest
from harness import CAMERAS, SECOND, Probe, Robot, number
from std_msgs.msg import Float32MultiArray, MultiArrayDimension, MultiArrayLayout
from trajectory_msgs.msg import JointTrajectory

NODE = "/iss_node"
PIPELINE, AGREEMENT = f"{NODE}: pipeline", f"{NODE}: policy agreement"
DISTANCE = "smallest distance of the cameras' stamps (s)"
ACTION = f"{NODE}/input/action"
APART = "images of front and wrist are 60 ms apart, sync_slop is 50 ms: no frame is complete"
OK, WARN, ERROR = 0, 1, 2


class ApartRobot(Robot):
    """Its wrist camera's stamps are ``apart`` ns after those of the front camera, at one image a second."""

    apart = 0

    def send(self, **instead):
        self.stamp += SECOND - SECOND // 10
        return super().send(**instead)

    def header(self, camera):
        header = super().header(camera)
        if camera == "wrist":
            header.stamp.nanosec += self.apart
        return header


@pytest.fixture(scope="module")
def node(launch, small, mood):
    chosen = {**small, "policy": f"faulty:{mood}", "image_transport": "raw", "image_reliability": "reliable"}
    process = launch("iss_node", **chosen)
    yield process
    assert process.end()[0] == 0
    assert "Traceback" not in process.log


@pytest.fixture
def robot(node, probe, mood):
    """A robot whose frames are explained."""
    robot = ApartRobot(probe, NODE)
    robot.instruct()
    robot.until_explained()
    robot.until(lambda: probe.status(PIPELINE)[0] == OK, "all well")
    return robot


def says(probe, name, text):
    status = probe.status(name)
    return status is not None and text in status[1]


def test_cameras_whose_stamps_never_match_are_told_until_they_do(robot, probe):
    robot.apart = 60_000_000
    robot.until(lambda: says(probe, PIPELINE, APART), "the distance told")
    assert probe.status(PIPELINE)[0] == WARN
    assert probe.value(PIPELINE, DISTANCE) == "0.06"
    assert [probe.status(f"{NODE}: camera {camera}")[0] for camera in CAMERAS] == [OK, OK]
    done = number(probe, NODE, "frames done")
    robot.apart = 40_000_000
    robot.until_explained()
    robot.until(lambda: probe.status(PIPELINE)[0] == OK, "the warning gone")
    assert number(probe, NODE, "frames done") > done
    assert probe.value(PIPELINE, DISTANCE) == "0.04"


def test_silent_cameras_are_told_before_an_older_problem_and_it_ends_with_the_next_frame(robot, probe, mood):
    reason = "RuntimeError: the arm has no such layer"
    mood.write_text("raises")
    robot.until(lambda: says(probe, PIPELINE, reason), "the problem")
    assert probe.status(PIPELINE)[0] == ERROR
    probe.until_status(PIPELINE, "no image from front, wrist")
    level, _, values = probe.status(PIPELINE)
    assert (level, values["problem of the last frame"]) == (WARN, reason)
    mood.write_text("good")
    robot.until_explained()
    robot.until(lambda: probe.value(PIPELINE, "problem of the last frame") == "none", "the problem gone")


def command():
    layout = MultiArrayLayout(dim=[MultiArrayDimension(label="action", size=2, stride=2)])
    return Float32MultiArray(layout=layout, data=[0.0, 0.0])


def test_an_action_topic_of_another_type_is_named(robot, probe, domain):
    other = Probe(domain)
    other.publisher(JointTrajectory, ACTION)
    line = (
        f"nothing comes from /probe on {ACTION}: it sends trajectory_msgs/msg/JointTrajectory and this node takes "
        "std_msgs/msg/Float32MultiArray"
    )
    assert probe.until_status(AGREEMENT, line) == WARN
    assert probe.value(AGREEMENT, f"connection {ACTION}") == line
    other.close()
    assert probe.until_status(AGREEMENT, "no action topic") == OK


def test_a_comparison_is_stale_once_the_node_is_deactivated_though_commands_go_on(robot, probe):
    def send():
        probe.publish(ACTION, command())
        robot.send()

    robot.until(lambda: says(probe, AGREEMENT, "commanded and own action differ"), "a comparison", send)
    assert probe.transition(NODE, "deactivate")
    robot.until(lambda: says(probe, AGREEMENT, "stale, "), "the comparison stale", send)
    assert probe.status(AGREEMENT)[0] == WARN
    assert "commanded and own action differ" in probe.status(AGREEMENT)[1]
    assert probe.transition(NODE, "activate")
    robot.until(lambda: not says(probe, AGREEMENT, "stale, "), "a comparison anew", send)
