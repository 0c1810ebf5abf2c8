# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""policy_node beside iss_node on the same topics, with stamped commands, and with a policy that needs a permission."""

from harness import CAMERAS, Robot, stamp_of
from std_msgs.msg import Float32MultiArray
from trajectory_msgs.msg import JointTrajectory

from vla_iss_ros.policies.exporting import export_policy
from vla_iss_ros.policies.loading import load_policy

NODE, ACTING = "/iss_node", "/policy_node"
AGREEMENT = f"{NODE}: policy agreement"
CHUNK = f"{ACTING}/output/action_chunk"
INPUTS = ("instruction", "joint_states", *(f"{camera}/image" for camera in CAMERAS))


def test_a_trajectory_of_policy_node_is_matched_by_the_stamp_of_its_frame(launch, probe, small, checkpoint):
    shared = {"image_transport": "raw", "action_type": "joint_trajectory"}
    commands = launch("iss_node", "-r", f"~/input/action:={CHUNK}", **small, **shared)
    same = [part for name in INPUTS for part in ("-r", f"~/input/{name}:={NODE}/input/{name}")]
    acting = launch(
        "policy_node", *same, policy=f"builtin:{checkpoint}", cameras=str(list(CAMERAS)), **shared
    )
    heard = probe.collect(JointTrajectory, CHUNK)
    robot, sent = Robot(probe, NODE), set()
    for node in (NODE, ACTING):
        probe.until(lambda node=node: probe.value(f"{node}: pipeline", "state") == "active", f"active {node}")
    probe.until(lambda: probe.node.count_subscribers(CHUNK) == 2, "iss_node listening to the commands")
    robot.instruct()
    robot.until(
        lambda: probe.value(AGREEMENT, "matched") == "by stamp",
        "a command matched by stamp",
        lambda: sent.add(robot.send(labels=False)),
    )
    assert "by stamp" in probe.status(AGREEMENT)[1]
    # Both run the same policy on the same frame.
    assert float(probe.value(AGREEMENT, "largest difference")) < 1e-4
    assert {stamp_of(message) for message in heard} <= sent
    spec = load_policy(f"builtin:{checkpoint}", "cpu").spec
    assert tuple(heard[-1].joint_names) == spec.action_names
    assert len(heard[-1].points) == spec.horizon
    for process in (commands, acting):
        assert process.end()[0] == 0
        assert "Traceback" not in process.log


def test_a_policy_that_needs_a_permission_acts_once_it_is_given(launch, probe, checkpoint, tmp_path):
    export_policy(load_policy(f"builtin:{checkpoint}", "cpu"), tmp_path / "pt2", "pt2", "pixel")
    launch(
        "policy_node",
        "-r",
        "__ns:=/pickled",
        policy=f"exported:{tmp_path / 'pt2'}",
        cameras=str(list(CAMERAS)),
    )
    node = f"/pickled{ACTING}"
    probe.until_status(f"{node}: pipeline", "set allow_pickle if you trust")
    permissions = {"allow_remote_code": True, "allow_unshared_noise": True, "allow_pickle": True}
    for result in probe.set_parameters(node, **permissions):
        assert result.successful, result.reason
    robot = Robot(probe, node, compressed=True)
    chunks = probe.collect(Float32MultiArray, f"{node}/output/action_chunk")
    probe.until(lambda: probe.value(f"{node}: pipeline", "state") == "active", "the policy loaded")
    robot.instruct()
    robot.until(lambda: chunks, "an action chunk", lambda: robot.send(labels=False))
