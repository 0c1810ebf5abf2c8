# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""iss_node that cannot be configured: it says why in one line, stays, and recovers."""

import shutil

import pytest
from harness import CAMERAS, STATE_NAMES, Robot

NODE = "/iss_node"
PIPELINE = f"{NODE}: pipeline"
OK, WARN, ERROR = 0, 1, 2


@pytest.fixture(scope="module")
def node(launch, small, tmp_path_factory):
    directory = tmp_path_factory.mktemp("broken")
    process = launch(
        "iss_node",
        **{**small, "samples": -5, "max_rate": 50, "policy": f"builtin:{directory / 'nowhere.safetensors'}"},
        image_transport="raw",
    )
    process.directory = directory
    yield process
    status, _ = process.end()
    assert status == 0
    assert "Traceback" not in process.log


def refused(probe, text, **change):
    """Set a parameter, wait for the reason in the diagnostics, and hold it to one line of the log."""
    if change:
        assert probe.set_parameters(NODE, together=True, **change).successful
    assert probe.until_status(PIPELINE, text) == ERROR
    assert probe.state(NODE) == "unconfigured"


def test_reasons_are_given_one_after_the_other_and_the_right_parameters_start_the_node(
    node, probe, checkpoint
):
    refused(probe, "samples must be in [2, 100000], got -5")
    for task in ("NMR", "policy agreement", *(f"camera {camera}" for camera in CAMERAS)):
        assert probe.until(lambda task=task: probe.status(f"{NODE}: {task}"))[1] == "not configured"

    refused(probe, "no checkpoint at", samples=16)
    broken = node.directory / "broken.safetensors"
    broken.write_bytes(checkpoint.read_bytes()[:-100])
    refused(probe, "is not a readable safetensors file", policy=f"builtin:{broken}")
    refused(probe, "device 'cuda:99' is not there", device="cuda:99")
    refused(probe, "is not a readable safetensors file", device="cpu")
    refused(probe, "policy must be TYPE[:PATH] with TYPE one of builtin", policy="unheard-of:x")
    (result,) = probe.set_parameters(NODE, cameras=["front"])
    assert result.successful
    refused(
        probe,
        "takes the cameras front, wrist; the parameter cameras names front",
        policy=f"builtin:{checkpoint}",
    )
    refused(probe, "takes a state of 4 numbers, got 1 state_names", cameras=list(CAMERAS), state_names=["x"])
    (result,) = probe.set_parameters(NODE, baseline="donor")
    assert result.successful
    empty = node.directory / "no_donors"
    empty.mkdir()
    refused(
        probe,
        f"cannot read donors from '{empty}/donors.json'",
        donors=str(empty),
        state_names=list(STATE_NAMES),
    )
    assert not probe.transition(NODE, "configure")
    assert probe.state(NODE) == "unconfigured"

    (result,) = probe.set_parameters(NODE, baseline="mean_colour")
    assert result.successful
    refused(probe, "cannot read donors from")  # asked for by name, so still wanted
    (result,) = probe.set_parameters(NODE, donors="")
    assert result.successful
    probe.until(lambda: probe.state(NODE) == "active", "the node active")
    assert probe.until_status(PIPELINE, "no image from front, wrist") == WARN


def test_every_reason_was_one_line_of_the_log(node, probe):
    reasons = [line for line in node.log.splitlines() if "not configured" in line]
    assert all(line.startswith("[ERROR]") for line in reasons)
    assert len(reasons) == len([line for line in node.log.splitlines() if "ERROR" in line])
    for text in ("samples must be in", "no checkpoint at", "TYPE one of builtin", "cuda:99"):
        assert any(text in line for line in reasons)
    assert "configured: policy 'tiny' on cpu, cameras front, wrist" in node.log


def test_fixed_parameters_are_refused_while_it_is_configured(node, probe):
    (result,) = probe.set_parameters(NODE, device="auto")
    assert (result.successful, "device can change only while" in result.reason) == (False, True)
    (result,) = probe.set_parameters(NODE, baseline="donor")
    assert result.successful == (f"{NODE}: pipeline" in probe.diagnostics and donors_loaded(node))


def donors_loaded(node):
    """Whether the shipped donors fit the tiny policy: they have the same cameras."""
    from vla_iss_ros.policies.errors import PolicyError
    from vla_iss_ros.policies.loading import shipped_samples

    try:
        return (shipped_samples() / "donors" / "donors.json").is_file()
    except PolicyError:
        return False


def test_after_cleanup_it_stays_down_until_it_is_asked(node, probe):
    assert probe.transition(NODE, "deactivate")
    assert probe.transition(NODE, "cleanup")
    (result,) = probe.set_parameters(NODE, device="auto")
    assert result.successful
    probe.until_status(PIPELINE, "unconfigured")
    assert probe.state(NODE) == "unconfigured"


def test_a_checkpoint_that_comes_back_is_loaded_and_works(node, probe, checkpoint):
    path = node.directory / "policy.safetensors"
    (result,) = probe.set_parameters(NODE, policy=f"builtin:{path}")
    assert result.successful
    assert not probe.transition(NODE, "configure")
    shutil.copy(checkpoint, path)
    assert probe.transition(NODE, "configure")
    assert probe.transition(NODE, "activate")
    robot = Robot(probe, NODE)
    robot.instruct()
    robot.until(lambda: probe.value(PIPELINE, "frames done") not in (None, "0"), "a frame explained")


def test_a_qos_override_that_does_not_exist_is_one_line(launch, small, probe, domain):
    name = "qos_overrides./other/input/front/image.subscription.reliability"
    process = launch("iss_node", "-r", "__node:=other", **{**small, name: "sometimes"})
    probe.until_status("/other: pipeline", "sometimes")
    assert probe.state("/other") == "unconfigured"
    assert process.end()[0] == 0
    assert "Traceback" not in process.log
