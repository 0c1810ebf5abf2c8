# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""iss_node with a policy behind an openpi server that is not there, goes away, comes back, and is a stock one."""

import json

import pytest
import servers
from harness import CAMERAS, STATE_NAMES, Robot, number

NODE = "/iss_node"
PIPELINE, RATIO = f"{NODE}: pipeline", f"{NODE}: NMR"
OK, ERROR = 0, 2
SHIM = ("stand_in:load_cameras", "--noise-shape", "2", "4")


@pytest.fixture(scope="module")
def name(tmp_path_factory):
    """Return a function that gives the policy's name at a port."""
    layout = {
        "cameras": [
            {"name": camera, "key": [camera], "size": [32, 32], "order": "hwc"} for camera in CAMERAS
        ],
        "state": [{"key": ["state"], "names": list(STATE_NAMES)}],
        "prompt": ["prompt"],
        "actions": None,
    }
    path = tmp_path_factory.mktemp("layout") / "layout.json"
    path.write_text(json.dumps(layout))
    return lambda port: f"openpi:127.0.0.1:{port}?layout={path}&timeout=10"


@pytest.fixture(scope="module")
def node(launch, small, name):
    with servers.shim(*SHIM) as port:
        pass  # a port where nobody listens any more
    process = launch(
        "iss_node", **{**small, "policy": name(port)}, image_transport="raw", image_reliability="reliable"
    )
    yield process
    status, _ = process.end()
    assert status == 0
    assert "Traceback" not in process.log


def test_a_server_that_is_not_there_is_one_line_and_a_corrected_parameter_starts_the_node(node, probe, name):
    assert probe.until_status(PIPELINE, "no openpi server at 127.0.0.1:") == ERROR
    assert probe.state(NODE) == "unconfigured"
    robot = Robot(probe, NODE)
    with servers.shim(*SHIM) as port:
        assert probe.set_parameters(NODE, policy=name(port))[0].successful
        robot.instruct()
        robot.until_explained(2)
        assert probe.value(RATIO, "policy shares its noise") == "True"
        assert float(probe.value(RATIO, "noise floor")) == 0
        failed = number(probe, NODE, "errors")
    robot.until(lambda: "openpi server at" in probe.status(PIPELINE)[1], "the server that went away")
    assert probe.status(PIPELINE)[0] == ERROR
    assert probe.state(NODE) == "active"
    assert number(probe, NODE, "errors") > failed
    with servers.shim(*SHIM, port=port):
        robot.until_explained(2)
        robot.until(lambda: probe.status(PIPELINE)[0] == OK, "the error gone")
        assert probe.transition(NODE, "deactivate")
        assert probe.transition(NODE, "cleanup")


def test_a_stock_servers_noise_must_be_accepted_and_is_told(node, probe, name):
    robot = Robot(probe, NODE)
    with servers.stock("load_cameras") as port:
        assert probe.set_parameters(NODE, policy=name(port))[0].successful
        probe.transition(NODE, "configure")
        assert probe.until_status(PIPELINE, "set allow_unshared_noise") == ERROR
        assert probe.set_parameters(NODE, allow_unshared_noise=True)[0].successful
        if probe.state(NODE) == "unconfigured":
            probe.transition(NODE, "configure")
        if probe.state(NODE) == "inactive":
            probe.transition(NODE, "activate")
        robot.instruct()
        robot.until_explained(2)
        assert probe.value(RATIO, "policy shares its noise") == "False"
        assert float(probe.value(RATIO, "noise floor")) > 0
