# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import CAMERAS, STATE_NAMES, Robot
from layouts import shown
from rcl_interfaces.srv import ListParameters
from std_msgs.msg import Float32MultiArray, String

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.messages.actions import decode_actions
from vla_iss_ros.messages.images import decode_image
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.ros.policy_node import SETTINGS
from vla_iss_ros.settings import BY_NAME

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
NODE = "/policy_node"
PIPELINE = f"{NODE}: pipeline"


@pytest.fixture(scope="module")
def node(launch, checkpoint):
    process = launch(
        "policy_node", policy=f"builtin:{checkpoint}", cameras=str(list(CAMERAS)), autostart=False
    )
    yield process
    status, _ = process.end()
    assert status == 0
    assert "Traceback" not in process.log


@pytest.fixture(scope="module")
def chunks(node, probe):
    return probe.collect(Float32MultiArray, f"{NODE}/output/action_chunk")


def test_without_autostart_it_waits_to_be_configured_and_activated(node, probe, chunks):
    probe.until_status(PIPELINE, "unconfigured")
    assert probe.transition(NODE, "configure")
    probe.until_status(PIPELINE, "inactive")
    assert probe.transition(NODE, "activate")
    probe.until_status(PIPELINE, "no image from front, wrist")


def test_it_answers_the_frame_with_the_policys_chunk_in_physical_units(node, probe, chunks, checkpoint):
    robot = Robot(probe, NODE, compressed=True)
    robot.instruct()
    robot.until(lambda: chunks, "an action chunk", lambda: robot.send(labels=False))
    message = chunks[-1]
    assert [dimension.label for dimension in message.layout.dim] == ["time", "action"]
    assert [dimension.size for dimension in message.layout.dim] == [8, 4]
    policy = load_policy(f"builtin:{checkpoint}", "cpu")
    answers = []
    for stamp in range(robot.stamp, 100_000_000_000, -100_000_000):
        robot.stamp = stamp
        images = {camera: decode_image(robot.image(camera)) for camera in CAMERAS}
        state = np.array(robot.joint_state().position, np.float32)
        observation = Observation(images, "press the button", state)
        with torch.inference_mode():
            answers.append(policy.run_pixels(policy.preprocess(observation), {}, None).physical[0].numpy())
    answer = decode_actions(message)
    assert min(float(np.abs(answer - each).max()) for each in answers) < 1e-5


def test_bad_input_is_named_and_the_next_good_frame_is_answered(node, probe, chunks):
    robot = Robot(probe, NODE, compressed=True)
    robot.stamp = 900_000_000_000

    def send():
        message = robot.image("wrist")
        message.data = message.data[:100]
        robot.send(labels=False, wrist=message)

    robot.until(lambda: probe.value(PIPELINE, "bad camera wrist: truncated"), "the cut image counted", send)
    assert "bad message on camera wrist: JPEG of 100 bytes is truncated" in node.log
    count = len(chunks)
    robot.until(lambda: len(chunks) > count, "the next chunk", lambda: robot.send(labels=False))


def test_a_state_from_another_time_is_not_used(node, probe, chunks):
    robot = Robot(probe, NODE, compressed=True)
    robot.stamp = 2_000_000_000_000
    old = robot.joint_state()
    assert list(old.name) == list(STATE_NAMES)

    def stale():
        return "s apart from the images" in probe.status(PIPELINE)[1]

    robot.until(stale, "the stale state named", lambda: robot.send(labels=False, joint_states=old))
    count = len(chunks)
    robot.until(lambda: len(chunks) > count, "the next chunk", lambda: robot.send(labels=False))


def test_an_instruction_that_is_not_latched_is_heard_as_well(node, probe):
    publisher = probe.node.create_publisher(String, f"{NODE}/input/instruction", 1)
    probe.until(publisher.get_subscription_count, "a subscriber of the instruction")
    publisher.publish(String(data="press  the\n button"))
    probe.until(lambda: probe.value(PIPELINE, "instruction") == "press the button")
    publisher.publish(String(data="press"))
    probe.until(lambda: probe.value(PIPELINE, "instruction") == "press")


def test_it_has_no_label_topics_and_its_own_status(node, probe):
    topics = [name for name, _ in probe.node.get_subscriber_names_and_types_by_node("policy_node", "/")]
    assert not [name for name in topics if "regions" in name]
    assert probe.status(f"{NODE}: actions")[2]["horizon"] == "8"


def test_the_reference_lists_its_parameters(node, probe):
    listed = re.search(r"`policy_node` has these of them:(.*?)\.\n", README, re.DOTALL)[1]
    names = set(re.findall(r"`(\w+)`", listed))
    assert names == set(SETTINGS)
    declared = probe.call(ListParameters, f"{NODE}/list_parameters", ListParameters.Request()).result.names
    ours = {name for name in declared if name in BY_NAME}
    assert ours == names


@pytest.mark.parametrize("layout", ["plotjuggler"])
def test_layouts_show_topics_that_there_are(node, probe, layout):
    topics, values = shown(layout, NODE)
    assert topics == {f"{NODE}/output/action_chunk"}
    assert not values
    assert probe.node.count_publishers(topics.pop()) == 1
