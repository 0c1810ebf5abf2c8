# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""policy_node with a contract: its topics, selections, units and sizes; and publishers that do not fit them."""

import numpy as np
import pytest
import torch
from harness import CAMERAS, Probe, Robot
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float32MultiArray, Float64, String

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.messages.actions import decode_actions
from vla_iss_ros.messages.images import decode_image
from vla_iss_ros.messages.sources import nearest_resize
from vla_iss_ros.policies.loading import load_policy

NODE = "/policy_node"
PIPELINE = f"{NODE}: pipeline"
CONTRACT = """
observations:
  observation.images.front:
    channel: {topic: /eyes/front, type: sensor_msgs/msg/Image}
    apply: [resize: [20, 20]]
  observation.images.wrist:
    channel: {topic: /eyes/wrist, type: sensor_msgs/msg/CompressedImage}
  observation.state:
    - channel: {topic: /arm, type: sensor_msgs/msg/JointState}
      select: [position.hand_z, position.hand_x, position.hand_y]
      apply: [rad2deg]
    - channel: {topic: /gripper, type: std_msgs/msg/Float64}
      select: [data]
tasks:
  task:
    channel: {topic: /task_prompt, type: std_msgs/msg/String}
"""


class ContractRobot(Robot):
    """Sends what the contract names."""

    def send(self):
        self.stamp += 100_000_000
        self.probe.publish("/arm", self.joint_state())
        self.probe.publish("/gripper", Float64(data=0.4))
        for camera in CAMERAS:
            self.compressed = camera == "wrist"
            self.probe.publish(f"/eyes/{camera}", self.image(camera), self.RELIABLE)


def expected(robot, checkpoint):
    """Return the policy's answer to the robot's present frame."""
    images = {}
    for camera in CAMERAS:
        robot.compressed = camera == "wrist"
        size = (20, 20) if camera == "front" else None
        images[camera] = nearest_resize(decode_image(robot.image(camera)), size)
    state = np.array([*np.degrees([0.3, 0.1, 0.2]), 0.4], np.float32)
    policy = load_policy(f"builtin:{checkpoint}", "cpu")
    with torch.inference_mode():
        base = policy.preprocess(Observation(images, "press the button", state))
        return policy.run_pixels(base, {}, None).physical[0].numpy()


@pytest.fixture(scope="module")
def node(launch, checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("contract") / "robot.yaml"
    path.write_text(CONTRACT)
    process = launch(
        "policy_node", policy=f"builtin:{checkpoint}", cameras=str(list(CAMERAS)), contract=str(path)
    )
    yield process
    assert process.end()[0] == 0
    assert "Traceback" not in process.log


def test_the_contract_names_topics_order_units_and_sizes(node, probe, checkpoint):
    chunks = probe.collect(Float32MultiArray, f"{NODE}/output/action_chunk")
    probe.publish("/task_prompt", String(data="press the button"), Robot.LATCHED)
    robot = ContractRobot(probe, NODE)

    def answered():
        answer = expected(robot, checkpoint)
        return any(float(np.abs(decode_actions(chunk) - answer).max()) < 1e-5 for chunk in chunks)

    robot.until(answered, "the contract's answer")


def test_publishers_that_do_not_fit_are_named_by_topic_until_they_go(node, probe, domain):
    other = Probe(domain)
    other.publisher(CompressedImage, "/eyes/front")
    key = "connection /eyes/front"
    line = (
        "nothing comes from /probe on /eyes/front: it sends sensor_msgs/msg/CompressedImage and this node takes "
        "sensor_msgs/msg/Image"
    )
    probe.until(lambda: probe.value(PIPELINE, key) == line, "the other type named")
    assert probe.status(PIPELINE)[:2] == (1, line)
    other.close()
    probe.until(lambda: not probe.value(PIPELINE, key), "the line gone")


def test_an_incompatible_qos_is_named_in_the_diagnostics(node, probe, launch, small):
    name = "/strict"
    process = launch(
        "iss_node", "-r", "__node:=strict", **small, image_transport="raw", image_reliability="reliable"
    )
    topic = f"{name}/input/front/image"
    publisher = probe.node.create_publisher(Image, topic, Robot.LATCHED)
    weak = probe.node.create_publisher(Image, topic, best_effort())
    key = f"connection {topic}"
    beginning = f"nothing comes from /probe on {topic}: QoS, "
    probe.until(lambda: (probe.value(f"{name}: pipeline", key) or "").startswith(beginning), "the QoS named")
    assert "RELIABILITY" in process.log or "reliability" in process.log.lower()
    probe.node.destroy_publisher(weak)
    probe.until(lambda: not probe.value(f"{name}: pipeline", key), "the line gone")
    probe.node.destroy_publisher(publisher)
    assert process.end()[0] == 0


def best_effort():
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
