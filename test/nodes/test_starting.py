# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Signals, in processes of their own."""

import signal
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or use scripts/env")

import faulty_policy
from harness import Probe, Process, Robot, apply_environment, own_domain, parameters, write_checkpoint

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])


def run(code, number):
    """Start Python code, send the signal once it prints a line, and return (exit status, what else it said)."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    process.stdout.readline()
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    return process.returncode, output


@BOTH
def test_a_signal_during_the_imports_ends_with_status_0(number):
    code = """
        import threading
        from vla_iss_ros.nodes.starting import start

        def load():
            print("importing", flush=True)
            threading.Event().wait()

        start(load)
    """
    assert run(code, number) == (0, "")


STUCK = """
    import threading, time
    from rclpy.node import Node
    from vla_iss_ros.nodes.starting import start

    class Stuck(Node):
        def __init__(self):
            super().__init__("stuck")

        def end_with(self, requested):
            print("running", flush=True)

        def close(self):
            {close}

    start(lambda: Stuck)
"""


@BOTH
def test_a_node_that_does_not_close_is_ended_all_the_same(number):
    assert run(STUCK.format(close="threading.Event().wait()"), number) == (0, "")


def test_a_thread_that_is_left_behind_does_not_abort_the_end():
    close = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    assert run(STUCK.format(close=close), signal.SIGINT) == (0, "")


@pytest.fixture(scope="module")
def domain():
    with own_domain() as number:
        apply_environment(number)
        yield number


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("policy") / "tiny.safetensors")


@BOTH
def test_a_signal_in_the_middle_of_a_long_computation_ends_with_status_0(
    number, domain, checkpoint, tmp_path
):
    arguments = parameters(
        policy=f"builtin:{checkpoint}",
        image_transport="raw",
        samples=100_000,
        block_size=4096,
        batch_size=4096,
        baseline="mean_colour",
    )
    process = Process("iss_node", tmp_path / "log", arguments)
    probe = Probe(domain)
    try:
        robot = Robot(probe, "/iss_node")
        robot.instruct()
        robot.send()

        def busy():
            value = probe.value("/iss_node: pipeline", "busy with a frame for (s)")
            return robot.send() and value not in (None, "nan")

        probe.until(busy, "the node busy")
        status, _ = process.end(number)
        assert status == 0
        assert "Traceback" not in process.log
        assert "terminate" not in process.log
    finally:
        process.kill()
        probe.close()


SECONDS = 2.0
MOMENTS = {"loading": "configuring", "good": "no image", "slow": "busy", "hangs": "has not answered"}


@pytest.fixture
def probe(domain):
    probe = Probe(domain)
    yield probe
    probe.close()


@BOTH
@pytest.mark.parametrize("mood", MOMENTS, ids=["loading", "waiting", "explaining", "hanging"])
def test_a_signal_at_any_moment_ends_with_status_0_within_2_s(
    number, mood, probe, tmp_path, monkeypatch, saw
):
    file = tmp_path / "mood"
    file.write_text(mood)
    monkeypatch.setenv("PYTHONPATH", faulty_policy.install(tmp_path))
    name = f"node_{mood}_{number.name.lower()}"  # statuses of nodes that ended are told apart
    chosen = parameters(
        policy=f"faulty:{file}", image_transport="raw", baseline="mean_colour", hang_timeout=0.5
    )
    process = Process("iss_node", tmp_path / "log", ["-r", f"__node:={name}", *chosen])

    def reached():
        status = probe.status(f"/{name}: pipeline")
        if status and MOMENTS[mood] == "busy":
            return status[2]["busy with a frame for (s)"] != "nan"
        return status and MOMENTS[mood] in status[1]

    try:
        if mood in ("slow", "hangs"):
            robot = Robot(probe, f"/{name}")
            robot.instruct()
            robot.until(reached, mood)
        else:
            probe.until(reached, mood)
        status, seconds = process.end(number)
    finally:
        process.kill()
    assert status == 0
    assert seconds < SECONDS
    assert "Traceback" not in process.log
    assert "terminate" not in process.log
    saw(f"status {status} after {seconds:.1f} s, no traceback")


def test_arguments_that_ros_refuses_are_one_line_and_status_1(tmp_path):
    process = Process("policy_node", tmp_path / "log", ["--params-file", "nowhere.yaml"])
    assert process.process.wait(30) == 1
    assert "Traceback" not in process.log
    assert "nowhere.yaml" in process.log
