# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""More than usual: a frame a hundred times larger, input at 200 Hz, a storm of parameters."""

import pytest
from harness import SECOND, Robot, number
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_msgs.msg import Float32

NODE = "/iss_node"
RATE, BURST = 200, 600
USUAL, LARGE = (480, 640), (4800, 6400)
# Megabytes by which resident memory may stay above what it was; the large picture has 92, as floats 369.
MOST_LEFT = 64
# Changes in all and at a time: services queue ten requests, and the middleware drops what is above that.
STORM, AT_ONCE = 300, 8


@pytest.fixture(scope="module")
def node(launch, small, mood):
    chosen = {**small, "policy": f"faulty:{mood}"}
    process = launch("iss_node", **chosen, image_transport="compressed", image_reliability="reliable")
    yield process
    status, _ = process.end()
    assert status == 0
    assert "Traceback" not in process.log


@pytest.fixture(scope="module")
def heard(node, probe):
    return probe.collect(Float32, f"{NODE}/output/nmr")


@pytest.fixture
def robot(heard, probe):
    robot = Robot(probe, NODE, compressed=True)
    robot.instruct()
    return robot


def explained_stamp(probe):
    """Return the stamp in ns of the last explained frame."""
    seconds, _, nanoseconds = (probe.value(f"{NODE}: NMR", "stamp (s)") or "0.0").partition(".")
    return int(seconds) * SECOND + int(nanoseconds)


def test_a_frame_a_hundred_times_larger_is_explained_and_its_memory_returned(robot, node, probe, saw):
    robot.size = USUAL
    robot.until_explained(2)
    usual = node.usage()[0]
    large = Robot(probe, NODE, compressed=True)
    large.size, large.stamp = LARGE, robot.stamp
    image = large.blank("front")
    for _ in range(2):  # what the first one leaves may be kept, and must serve the second
        large.stamp = robot.stamp + SECOND // 10
        image.header = large.header("front")
        robot.send(labels=False, front=image)
        probe.until(lambda: explained_stamp(probe) >= large.stamp, "the large frame explained")
        robot.until_explained(2)
    left = node.usage()[0] - usual
    assert left < MOST_LEFT
    saw(f"explained; {left:+.0f} MB of resident memory stay; the next good frames explained")


def test_input_at_200_hz_is_thinned_out_to_the_newest(robot, node, probe, saw):
    robot.stamp = explained_stamp(probe) + 10 * SECOND
    robot.until_explained()
    before = {key: number(probe, NODE, key) for key in ("frames received", "frames dropped")}
    sent = []

    def send():
        sent.append(robot.send(labels=False))

    timer = probe.node.create_timer(1 / RATE, lambda: due.append(None))
    due = []
    while len(sent) < BURST:
        probe.until(lambda: due, "the next frame's time")
        due.pop()
        send()
    probe.node.destroy_timer(timer)
    probe.until(lambda: explained_stamp(probe) == sent[-1], "the newest frame explained")
    received, dropped = (number(probe, NODE, key) - count for key, count in before.items())
    assert 0 < dropped < received <= BURST
    saw(f"{BURST} frames sent, {dropped} dropped for newer ones, the last one explained")


def test_a_storm_of_parameters_is_answered_one_by_one(robot, node, probe, saw):
    robot.until_explained()
    client = probe.node.create_client(SetParameters, f"{NODE}/set_parameters")
    probe.until(client.service_is_ready, "the service")
    asked = []

    def waiting():
        return sum(not future.done() for _, future in asked)

    robot.send()  # something to explain meanwhile
    for index in range(STORM):
        probe.until(lambda: waiting() < AT_ONCE, "answers")
        # Every third is refused, and every change makes the explainer anew.
        value = -1 if index % 3 == 2 else 16 + index
        item = Parameter("samples", value=value).to_parameter_msg()
        asked.append((value, client.call_async(SetParameters.Request(parameters=[item]))))
    probe.until(lambda: not waiting(), "all answered")
    results = [(value, future.result().results[0]) for value, future in asked]
    assert all(result.successful == (value > 0) for value, result in results)
    refused = [result.reason for value, result in results if value < 0]
    assert all("samples" in reason for reason in refused)
    last = max(value for value, _ in results)
    robot.until(lambda: probe.value(f"{NODE}: NMR", "samples N") == str(last), "the last value in force")
    assert probe.set_parameters(NODE, samples=16)[0].successful
    assert number(probe, NODE, "errors") == 0
    saw(
        f"{STORM} answered, {len(refused)} of them refused with the reason; the last value in force; 0 errors"
    )
