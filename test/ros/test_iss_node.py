# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""iss_node in a process of its own, fed by messages that are good, bad, and missing."""

import numpy as np
import pytest
from harness import CAMERAS, Robot, stamp_of
from layouts import LAYOUTS, shown
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float32, Float32MultiArray, MultiArrayDimension, MultiArrayLayout, String
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker

from vla_iss_ros.messages.encoding import encode_compressed_image

NODE = "/iss_node"
OK, WARN, ERROR = 0, 1, 2


@pytest.fixture(scope="module")
def node(launch, small):
    process = launch("iss_node", **small, image_transport="raw", image_reliability="reliable")
    yield process
    status, _ = process.end()
    assert status == 0
    assert "Traceback" not in process.log


@pytest.fixture(scope="module")
def outputs(probe):
    topics = {"nmr": Float32, "chart": Image, "marker": Marker}
    for camera in CAMERAS:
        topics[f"{camera}/overlay/compressed"] = CompressedImage
        for name in ("overlay", "saliency", "stderr", "regions"):
            topics[f"{camera}/{name}"] = Image
    return {name: probe.collect(kind, f"{NODE}/output/{name}") for name, kind in topics.items()}


@pytest.fixture(scope="module")
def robot(node, probe, outputs):
    """A robot whose first frame has been explained and heard."""
    robot = Robot(probe, NODE)
    robot.instruct()
    probe.until_status(f"{NODE}: pipeline", "no image from front, wrist")
    publishers = [f"{NODE}/output/{name}" for name in outputs]
    probe.until(lambda: all(probe.node.count_publishers(topic) for topic in publishers))
    explain(robot, outputs)
    return robot


def explain(robot, outputs, patience_frames=50, **send):
    """Send frames until every output has one of them; return that frame's stamp."""
    for _ in range(patience_frames):
        stamp = robot.send(**send)
        wanted = [name for name in outputs if name != "nmr"]

        def complete(stamp=stamp, wanted=wanted):
            return all(any(stamp_of(message) == stamp for message in outputs[name]) for name in wanted)

        try:
            robot.probe.until(complete, patience=2.0)
        except AssertionError:
            continue
        return stamp
    raise AssertionError(f"no frame came out; {robot.probe.summary()}")


def explained(robot):
    return int(robot.probe.value(f"{NODE}: pipeline", "frames done") or 0)


def until_good(robot, labels=True):
    """Send a good frame until the count of explained frames grows."""
    before = explained(robot)
    robot.until(
        lambda: explained(robot) > before, "another frame explained", lambda: robot.send(labels=labels)
    )


def test_outputs_carry_the_header_and_size_of_their_image(robot, outputs):
    stamp = explain(robot, outputs)
    for camera in CAMERAS:
        for name in ("overlay", "overlay/compressed", "saliency", "stderr", "regions"):
            message = next(each for each in outputs[f"{camera}/{name}"] if stamp_of(each) == stamp)
            assert message.header.frame_id == f"{camera}_camera"
        for name in ("saliency", "stderr"):
            message = next(each for each in outputs[f"{camera}/{name}"] if stamp_of(each) == stamp)
            assert (message.encoding, message.height, message.width) == ("32FC1", 24, 32)
            assert np.isfinite(np.frombuffer(message.data, np.float32)).all()
        overlay = outputs[f"{camera}/overlay"][-1]
        assert (overlay.encoding, overlay.width) == ("rgb8", 32)
    assert 0 <= outputs["nmr"][-1].data <= 1
    assert outputs["marker"][-1].text.startswith("NMR@10 0.")


def test_diagnostics_hold_the_result_in_plain_numbers(robot):
    until_good(robot)
    level, message, values = robot.probe.status(f"{NODE}: NMR")
    assert level in (OK, WARN, ERROR)
    assert message.startswith("NMR@10 ")
    for key in ("age (s)", "NMR@10", "NMR low", "NMR high", "chance", "floor", "mean delta", "noise floor"):
        float(values[key])
    for key in (
        "effect camera front share",
        "effect camera wrist share",
        "effect state delta",
        "seconds policy",
    ):
        float(values[key])
    assert values["samples N"] == "16"
    assert values["stop reason"] == "samples"
    assert 0.2 < float(values["chance"]) < 0.9
    assert robot.probe.status(f"{NODE}: policy agreement")[:2] == (OK, "no action topic")
    assert robot.probe.status(f"{NODE}: camera front")[0] == OK
    assert all(status.hardware_id for status in robot.probe.diagnostics.values())


def remembered(robot):
    return int(robot.probe.status(f"{NODE}: NMR")[2]["samples remembered"])


def until_remembered(robot, wanted):
    robot.until(lambda: wanted(remembered(robot)), "the memory is as wanted", lambda: robot.send(labels=True))


def test_earlier_frames_have_a_say_until_another_instruction_comes(robot):
    until_remembered(robot, lambda samples: samples >= 16)
    key = "stream began anew: the instruction changed"
    for count, instruction in enumerate(("open the drawer", "press the button"), start=1):
        robot.instruct(instruction)

        def counted(count=count):
            return robot.probe.status(f"{NODE}: NMR")[2].get(key) == str(count)

        robot.until(counted, f"'{key}' is {count}", lambda: robot.send(labels=True))
    until_remembered(robot, lambda samples: samples >= 16)


def test_without_a_stream_every_frame_stands_for_itself(robot):
    assert robot.probe.set_parameters(NODE, stream=False)[0].successful
    until_remembered(robot, lambda samples: samples == 0)
    assert robot.probe.set_parameters(NODE, stream=True)[0].successful
    until_remembered(robot, lambda samples: samples >= 16)


def damaged(robot, change):
    message = robot.image("front")
    change(message)
    return message


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("unknown encoding", lambda message: setattr(message, "encoding", "rgb9")),
        ("truncated", lambda message: setattr(message, "data", message.data[:-7])),
        ("zero size", lambda message: setattr(message, "height", 0)),
        ("step too small", lambda message: setattr(message, "step", 3)),
        ("bad stamp", lambda message: setattr(message.header.stamp, "sec", -5)),
    ],
)
def test_a_bad_image_is_counted_and_named_and_the_next_good_frame_is_explained(robot, node, reason, change):
    pipeline = f"{NODE}: pipeline"
    key = f"bad camera front: {reason}"

    def send():
        robot.send(front=damaged(robot, change))

    robot.until(lambda: robot.probe.value(pipeline, key), f"'{key}' in the diagnostics", send)
    assert "bad message on camera front: " in node.log
    assert int(robot.probe.value(f"{NODE}: camera front", key)) >= 1
    until_good(robot)
    assert node.process.poll() is None


def test_a_bad_joint_state_is_counted_and_the_frame_is_left_out(robot, node):
    key = "bad joint states: missing names"

    def send():
        robot.stamp += 100_000_000
        short = robot.joint_state()
        short.name, short.position = ["hand_x"], [0.1]
        robot.stamp -= 100_000_000
        robot.send(joint_states=short)

    robot.until(lambda: robot.probe.value(f"{NODE}: pipeline", key), f"'{key}' in the diagnostics", send)
    until_good(robot)
    assert "bad message on joint states: joint state lacks 'hand_y'" in node.log


def test_a_bad_instruction_is_counted_and_the_old_one_kept(robot):
    robot.probe.publish(f"{NODE}/input/instruction", String(data="press\x07"), Robot.LATCHED)
    key = "bad instruction: control character"
    robot.probe.until(lambda: robot.probe.value(f"{NODE}: pipeline", key) == "1")
    assert robot.probe.value(f"{NODE}: pipeline", "instruction") == "press the button"
    until_good(robot)


def test_without_instruction_one_line_says_so_and_a_parameter_helps(robot, node):
    robot.instruct("")
    robot.until(lambda: "instruction is empty" in robot.probe.status(f"{NODE}: pipeline")[1])
    assert "frame left out: instruction is empty; send one on the instruction topic" in node.log
    assert robot.probe.status(f"{NODE}: pipeline")[0] == WARN
    (result,) = robot.probe.set_parameters(NODE, instruction="press the button")
    assert result.successful
    until_good(robot)
    robot.instruct()


def test_without_regions_there_is_no_nmr_and_the_diagnostics_say_so(robot, outputs):
    robot.until(
        lambda: "undefined" in robot.probe.status(f"{NODE}: NMR")[1],
        "no NMR without regions",
        lambda: robot.send(labels=False),
    )
    assert "no regions" in robot.probe.status(f"{NODE}: NMR")[1]
    assert robot.probe.value(f"{NODE}: NMR", "NMR@10") == "nan"
    count = len(outputs["nmr"])
    until_good(robot, labels=False)
    assert len(outputs["nmr"]) == count
    until_good(robot)
    robot.until(lambda: len(outputs["nmr"]) > count, "NMR once regions are back")


def test_label_images_of_another_shape_are_counted_and_not_used(robot):
    square = np.zeros((24, 24), np.uint8)

    def send():
        robot.stamp += 100_000_000
        bad = encode_compressed_image(square, robot.header("front"), CompressedImage, "png")
        robot.probe.publish(robot.topic("front/regions"), bad)
        robot.stamp -= 100_000_000
        robot.send(labels=False)

    key = "bad regions front: wrong shape"
    robot.until(lambda: robot.probe.value(f"{NODE}: pipeline", key), "the label image counted", send)
    until_good(robot)


def test_a_camera_that_stops_is_named(robot):
    def only_wrist():
        robot.stamp += 100_000_000
        robot.probe.publish(robot.topic("wrist/image"), robot.image("wrist"), Robot.RELIABLE)

    def named():
        return "no image from front" in robot.probe.status(f"{NODE}: pipeline")[1]

    robot.until(named, "the silent camera named", only_wrist)
    assert robot.probe.status(f"{NODE}: pipeline")[0] == WARN
    assert "no image for" in robot.probe.status(f"{NODE}: camera front")[1]
    until_good(robot)


def test_stamps_that_go_back_start_anew(robot, node):
    robot.stamp = 5_000_000_000
    until_good(robot)
    robot.until(lambda: "state forgotten: the images' stamps went back" in node.log)


def test_parameters_change_between_frames_and_are_checked_together(robot, node):
    (result,) = robot.probe.set_parameters(NODE, samples=24)
    assert result.successful
    robot.until(lambda: robot.probe.value(f"{NODE}: NMR", "samples N") == "24")
    (result,) = robot.probe.set_parameters(NODE, samples=4)
    assert not result.successful
    assert result.reason == "samples must be at least block_size 8, got 4"
    result = robot.probe.set_parameters(NODE, together=True, samples=4, block_size=2)
    assert result.successful
    robot.until(lambda: robot.probe.value(f"{NODE}: NMR", "samples N") == "4")
    for changes, reason in (
        ({"keep_probability": 2.0}, "keep_probability"),
        ({"estimator": "magic"}, "estimator must be one of "),
        ({"estimator": "exact"}, "exact enumerates 2^C coalitions and takes at most 16 cells, got 18"),
        ({"policy": "builtin:elsewhere"}, "policy can change only while the node is not configured"),
        ({"nmr_error_ratio": 0.5}, "nmr_error_ratio must not be below nmr_warn_ratio 1.0, got 0.5"),
        ({"actor_labels": [2]}, "labels [2] are in actor_labels and in support_labels"),
        ({"precision": "half"}, "precision must be one of float32, tf32, bfloat16, got 'half'"),
    ):
        (result,) = robot.probe.set_parameters(NODE, **changes)
        assert not result.successful
        assert reason in result.reason
    until_good(robot)


def test_services_explain_a_frame_at_full_n_and_reset(robot, node):
    client = robot.probe.node.create_client(Trigger, f"{NODE}/explain")
    robot.probe.until(client.service_is_ready)
    future = client.call_async(Trigger.Request())
    robot.until(lambda: future.done(), "the answer of ~/explain")
    assert future.result().success
    assert future.result().message.startswith("NMR@10 ")
    assert robot.probe.call(Trigger, f"{NODE}/reset", Trigger.Request()).success
    robot.until(lambda: "state forgotten: asked by ~/reset" in node.log)


def test_the_lifecycle_can_be_gone_through_again_and_again(robot, node):
    for _ in range(5):
        assert robot.probe.transition(NODE, "deactivate")
        assert robot.probe.state(NODE) == "inactive"
        assert robot.probe.transition(NODE, "activate")
    for _ in range(3):
        assert robot.probe.transition(NODE, "deactivate")
        assert robot.probe.transition(NODE, "cleanup")
        assert robot.probe.state(NODE) == "unconfigured"
        assert robot.probe.transition(NODE, "configure")
        assert robot.probe.transition(NODE, "activate")
    until_good(robot)  # the new subscriptions got the latched instruction


def test_inactive_it_does_not_explain_and_says_so(robot):
    assert robot.probe.transition(NODE, "deactivate")
    robot.probe.until_status(f"{NODE}: pipeline", "inactive")
    before = explained(robot)
    robot.send()
    answer = robot.probe.call(Trigger, f"{NODE}/explain", Trigger.Request())
    assert (answer.success, answer.message) == (False, "the node is not active")
    assert explained(robot) == before
    assert robot.probe.transition(NODE, "activate")
    until_good(robot)


def test_a_commanded_action_is_compared_with_our_own(robot):
    task = f"{NODE}: policy agreement"
    assert robot.probe.status(task)[:2] == (OK, "no action topic")
    dimensions = [
        MultiArrayDimension(label="time", size=1, stride=4),
        MultiArrayDimension(label="action", size=4, stride=4),
    ]
    action = Float32MultiArray(layout=MultiArrayLayout(dim=dimensions), data=[100.0, 0.0, 0.0, 0.0])

    def send():
        robot.probe.publish(f"{NODE}/input/action", action)
        robot.send()

    robot.until(lambda: "differ by at most" in robot.probe.status(task)[1], "the comparison", send)
    assert "(action_0), " in robot.probe.status(task)[1]
    assert "times what is expected; nearest in time" in robot.probe.status(task)[1]
    assert 50 < float(robot.probe.value(task, "largest difference")) < 200
    action.layout.dim[1].size = 5
    robot.until(lambda: "bad message on action" in robot.probe.status(task)[1], "the bad action named", send)
    assert int(robot.probe.value(f"{NODE}: pipeline", "bad action: wrong strides")) >= 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_show_topics_and_values_that_there_are(robot, layout):
    topics, values = shown(layout, NODE)
    assert topics
    published = {name for name, _ in robot.probe.node.get_topic_names_and_types()}
    assert {topic for topic in topics if robot.probe.node.count_publishers(topic)} == topics <= published
    dimensions = [MultiArrayDimension(label="action", size=4, stride=4)]
    action = Float32MultiArray(layout=MultiArrayLayout(dim=dimensions), data=[0.0] * 4)

    def send():
        robot.probe.publish(f"{NODE}/input/action", action)
        robot.send()

    def told(status, key):
        found = robot.probe.status(status)
        return found is not None and (key is None or key in found[2])

    robot.until(lambda: all(told(*pair) for pair in values), f"the values of {layout}", send)
