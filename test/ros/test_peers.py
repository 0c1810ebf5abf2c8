# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Others on the network that die, stop reading, or are discovered late."""

import select
import signal
import subprocess
import sys

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import CAMERAS, SECOND, Probe, Robot, number
from sensor_msgs.msg import Image
from std_msgs.msg import String

NODE = "/iss_node"
AGREEMENT = f"{NODE}: policy agreement"
OK, WARN = 0, 1
RAW = {"image_transport": "raw", "image_reliability": "reliable"}
FRAMES = 30


def ended(process):
    """End a node that was not meant to end before; fails for a traceback."""
    assert process.process.poll() is None
    status, _ = process.end()
    assert (status, "Traceback" in process.log) == (0, False)


def start_policy_node(launch, small):
    """Start policy_node on the inputs of iss_node."""
    names = [f"{camera}/image" for camera in CAMERAS] + ["joint_states", "instruction"]
    rules = [part for name in names for part in ("-r", f"~/input/{name}:={NODE}/input/{name}")]
    return launch("policy_node", *rules, policy=small["policy"], cameras=small["cameras"], **RAW)


READER = """
import sys, rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
def note(message):
    stamp = message.header.stamp
    print(stamp.sec * 10**9 + stamp.nanosec, flush=True)
rclpy.init()
node = rclpy.create_node("reader")
node.create_subscription(Image, sys.argv[1], note, QoSProfile(depth=1))
if sys.argv[2] == "all":
    rclpy.spin(node)
rclpy.spin_once(node)
sys.stdin.read()
node.destroy_node()
"""


@pytest.fixture
def read(domain):
    """Return a function that starts a process which reads an overlay reliably: takes all, or one and no more."""
    processes = []

    def start(how):
        command = [sys.executable, "-c", READER, f"{NODE}/output/front/overlay", how]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        # Not killed: reliable publishers wait for those that did not take their leave.
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@pytest.fixture
def robot(launch, small, probe):
    """A robot with large images, whose frames are explained."""
    node = launch("iss_node", **small, **RAW)
    robot = Robot(probe, NODE)
    robot.size = (480, 640)
    robot.instruct()
    robot.until_explained()
    yield robot
    ended(node)


def until_read(robot, reader):
    """Send frames until the reader has taken an overlay."""
    robot.until(lambda: select.select([reader.stdout], [], [], 0)[0], "the reader has one")


def test_a_subscriber_that_never_reads_holds_up_nobody(robot, probe, read, saw):
    heard = probe.collect(Image, f"{NODE}/output/front/overlay", 1)
    reader = read("one")
    until_read(robot, reader)
    for _ in range(FRAMES):
        count = len(heard)
        robot.until(lambda count=count: len(heard) > count, "the overlay heard by another subscriber")
    assert reader.poll() is None
    saw(f"{FRAMES} of {FRAMES} overlays reached another")


def test_a_subscriber_whose_process_is_stopped_does_not_hold_up_the_node(robot, probe, read, saw):
    """Whether others get large messages meanwhile is Fast DDS's matter (docs/reliability.md)."""
    heard = probe.collect(Image, f"{NODE}/output/front/overlay", 1)
    reader = read("all")
    until_read(robot, reader)
    reader.send_signal(signal.SIGSTOP)
    robot.until_explained(FRAMES)
    reader.send_signal(signal.SIGCONT)
    count = len(heard)
    robot.until(lambda: len(heard) > count, "an overlay heard by another subscriber again")
    saw(f"{FRAMES} frames explained meanwhile; others got overlays once it went on")


def test_a_node_that_comes_after_its_publishers_hears_them_and_the_latched_instruction(
    launch, small, probe, saw
):
    node = "/late"
    robot = Robot(probe, node)
    instruction = probe.publisher(String, robot.topic("instruction"), Robot.LATCHED)
    instruction.publish(String(data="press the button"))
    for camera in CAMERAS:
        probe.publisher(Image, robot.topic(f"{camera}/image"), Robot.RELIABLE).publish(robot.image(camera))
    process = launch("iss_node", "-r", "__node:=late", **small, **RAW)
    robot.until_explained()
    assert probe.value(f"{node}: NMR", "instruction") == "press the button"
    ended(process)
    saw("the latched instruction arrived; the first frames explained")


def test_publishers_that_come_late_and_others_after_them_are_heard(launch, small, probe, domain, saw):
    node = "/early"
    process = launch("iss_node", "-r", "__node:=early", **small, **RAW)
    probe.until_status(f"{node}: pipeline", "no image from front, wrist")
    arrays = probe.collect(DiagnosticArray, "/diagnostics")
    probe.until(lambda: len(arrays) >= 3, "diagnostics of a node that goes on waiting")
    for stamp in (100 * SECOND, 200 * SECOND):
        # Participants of their own, which are discovered anew and go.
        publishers = Probe(domain)
        robot = Robot(publishers, node)
        robot.stamp = stamp
        robot.instruct()
        robot.until_explained(2)
        publishers.close()
    ended(process)
    saw("frames of the first and of the second publishers explained")


# The last one here: what was killed counts as there for a while, and the next publishers wait for it.
def test_a_policy_node_that_is_killed_is_told_and_explained_on(launch, small, probe, saw):
    rule = ("-r", "~/input/action:=/policy_node/output/action_chunk")
    node = launch("iss_node", *rule, **small, **RAW)
    policy_node = start_policy_node(launch, small)
    robot = Robot(probe, NODE)
    robot.instruct()

    def agree():
        level, message, _ = probe.status(AGREEMENT) or (None, "", {})
        return level == OK and message.startswith("commanded and own action differ by at most")

    robot.until(agree, "agreement")
    policy_node.process.kill()
    policy_node.process.wait()
    done = number(probe, NODE, "frames done")
    robot.until(lambda: "no commanded action for" in probe.status(AGREEMENT)[1], "the silence told")
    assert probe.status(AGREEMENT)[0] == WARN
    assert number(probe, NODE, "frames done") > done
    again = start_policy_node(launch, small)
    robot.until(agree, "agreement again")
    ended(again)
    ended(node)
    saw("frames explained on; policy agreement: no commanded action for 6 s; OK once it was back")
