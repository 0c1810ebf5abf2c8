# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""iss_node with a policy that raises, answers NaN, fills the memory and hangs; and with a checkpoint that changes."""

import shutil

import pytest
import torch
from harness import Robot, number, write_checkpoint
from std_srvs.srv import Trigger

NODE = "/iss_node"
PIPELINE = f"{NODE}: pipeline"
OK, ERROR = 0, 2


@pytest.fixture(scope="module")
def node(launch, small, mood):
    chosen = {**small, "policy": f"faulty:{mood}", "batch_size": 16, "hang_timeout": 0.5}
    process = launch("iss_node", **chosen, image_transport="raw", image_reliability="reliable")
    yield process
    mood.write_text("good")
    status, _ = process.end()
    assert status == 0
    assert "Traceback" not in process.log


@pytest.fixture
def robot(node, probe, mood):
    """A robot whose frames are explained, by a policy that is well."""
    robot = Robot(probe, NODE)
    robot.instruct()
    robot.until_explained(2)
    yield robot
    mood.write_text("good")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raises", "RuntimeError: the arm has no such layer"),
        ("not finite", "policy returned 2 actions that are not finite"),
        ("out of memory", "OutOfMemoryError: CUDA out of memory"),
    ],
)
def test_a_policy_that_fails_is_an_error_in_one_line_until_it_answers(robot, node, mood, saw, fault, reason):
    failed = number(robot.probe, NODE, "errors")
    mood.write_text(fault)
    robot.until(lambda: reason in robot.probe.status(PIPELINE)[1], f"'{reason}' in the diagnostics")
    assert robot.probe.status(PIPELINE)[0] == ERROR
    assert number(robot.probe, NODE, "errors") > failed
    assert f"frame failed: {reason}" in node.log
    mood.write_text("good")
    robot.until_explained()
    robot.until(lambda: robot.probe.status(PIPELINE)[0] == OK, "the error gone")
    saw("an error with the reason while it lasted; the next good frame explained")


def test_a_batch_that_fills_the_gpu_is_halved_and_the_frame_explained(robot, mood, saw):
    failed = number(robot.probe, NODE, "errors")
    mood.write_text("out of memory above 4 rows")
    robot.until_explained(3)
    assert number(robot.probe, NODE, "errors") == failed
    saw("3 frames explained, 0 errors")


def hang(robot, mood):
    """Let the policy hang, and wait until /diagnostics say so."""
    mood.write_text("hangs")

    def told():
        return "the policy has not answered for" in robot.probe.status(PIPELINE)[1]

    robot.until(told, "the policy that hangs in the diagnostics")


def test_a_policy_that_hangs_is_told_and_the_node_answers_meanwhile(robot, mood, saw):
    hang(robot, mood)
    assert robot.probe.status(PIPELINE)[0] == ERROR
    assert robot.probe.state(NODE) == "active"
    assert robot.probe.set_parameters(NODE, samples=16)[0].successful
    assert robot.probe.call(Trigger, f"{NODE}/reset", Trigger.Request()).success
    mood.write_text("good")
    robot.until_explained()
    saw(
        "an error after hang_timeout; state, parameters and services answered; explained on when it came back"
    )


def test_a_slow_policy_is_no_hanging_one(robot, mood, saw):
    """Each run takes 0.2 s, a frame's effects alone more than hang_timeout; the pause before the next is 50 s."""
    done = number(robot.probe, NODE, "frames done")
    assert robot.probe.set_parameters(NODE, batch_size=4, max_rate=0.02, together=True).successful
    mood.write_text("slow")
    told = []

    def twice():
        told.append(robot.probe.status(PIPELINE)[1])
        return number(robot.probe, NODE, "frames done") >= done + 1

    robot.until(twice, "a frame explained slowly")
    client = robot.probe.node.create_client(Trigger, f"{NODE}/explain")
    robot.probe.until(client.service_is_ready)
    future = client.call_async(Trigger.Request())
    robot.until(
        lambda: told.append(robot.probe.status(PIPELINE)[1]) or future.done(), "the answer of ~/explain"
    )
    assert future.result().success
    assert not [each for each in told if "has not answered" in each]
    mood.write_text("good")
    assert robot.probe.set_parameters(NODE, batch_size=16, max_rate=100.0, together=True).successful
    saw("explained; never taken for hanging; ~/explain does not wait for max_rate")


def test_a_node_whose_policy_hangs_can_be_deactivated_and_activated(robot, node, mood, saw):
    hang(robot, mood)
    assert robot.probe.transition(NODE, "deactivate")
    assert "the policy does not return; its thread is left behind" in node.log
    assert robot.probe.transition(NODE, "activate")
    mood.write_text("good")
    robot.until_explained()
    saw("both done; explained on when the policy came back")


def test_a_checkpoint_replaced_while_running_is_taken_at_the_next_configuration(
    launch, small, probe, tmp_path, checkpoint, saw
):
    path = tmp_path / "policy.safetensors"
    shutil.copy(checkpoint, path)
    node = "/replaced"
    chosen = {**small, "policy": f"builtin:{path}"}
    process = launch(
        "iss_node", "-r", "__node:=replaced", **chosen, image_transport="raw", image_reliability="reliable"
    )
    robot = Robot(probe, node)
    robot.instruct()
    robot.until_explained()
    path.write_bytes(b"half a chec")  # in place: whoever still reads the old file reads this
    robot.until_explained(2)
    assert number(probe, node, "errors") == 0
    assert probe.transition(node, "deactivate")
    assert probe.transition(node, "cleanup")
    assert not probe.transition(node, "configure")
    probe.until_status(f"{node}: pipeline", "is not a readable safetensors file")
    torch.manual_seed(1)
    write_checkpoint(path)
    assert probe.transition(node, "configure")
    assert probe.transition(node, "activate")
    robot.until_explained()
    status, _ = process.end()
    assert (status, "Traceback" in process.log) == (0, False)
    saw("the loaded one is used on; a half-written one refused in one line; the new one explained")
