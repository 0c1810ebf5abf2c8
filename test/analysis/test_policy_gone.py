# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy that goes away ends an analysis, which goes on when the policy is back."""

import json
from contextlib import ExitStack

import pytest
import servers
from bag_factory import CAMERAS, NAMES, sample_messages, write_bag
from recorded_run import SMALL

from vla_iss_ros.analysis.frame_table import read_table
from vla_iss_ros.analysis.ray_session import local_session
from vla_iss_ros.cli.analysis_progress import ShownProgress
from vla_iss_ros.cli.analyze_bag import main

SHIM = ("stand_in:load_cameras", "--noise-shape", "2", "4")
EPISODES = (2,) * 12


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bag") / "tiny", sample_messages(EPISODES))


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    path = tmp_path_factory.mktemp("layout") / "layout.json"
    cameras = [{"name": camera, "key": [camera], "size": [32, 32], "order": "hwc"} for camera in CAMERAS]
    state = [{"key": ["state"], "names": NAMES}]
    path.write_text(json.dumps({"cameras": cameras, "state": state, "prompt": ["prompt"], "actions": None}))
    return path


@pytest.fixture
def ray():
    """One session of Ray for both starts."""
    with local_session(1):
        yield


@pytest.fixture
def command(bag, layout, tmp_path):
    """Return a function that analyses the bag with the policy at a port into out."""

    def analyse(port, *arguments):
        settings = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
        policy = ["--policy", f"openpi:127.0.0.1:{port}?layout={layout}&timeout=10"]
        return main(
            [str(bag), "--out", str(tmp_path / "out"), "--no-effects", *policy, *settings, *arguments]
        )

    return analyse


@pytest.mark.parametrize("engine", ["serial", "processes", "ray"])
def test_a_server_that_goes_away_ends_the_run_and_the_next_start_explains_all_frames(
    command, tmp_path, monkeypatch, capsys, engine, request
):
    chosen = ["--engine", engine] + ([] if engine == "serial" else ["--workers", "1"])
    seen = []
    if engine == "ray":
        request.getfixturevalue("ray")
    with ExitStack() as serving:
        port = serving.enter_context(servers.shim(*SHIM))

        def frame(_):
            seen.append(True)
            if len(seen) == 5:
                serving.close()

        with monkeypatch.context() as patched:
            patched.setattr(ShownProgress, "frame", frame)
            assert command(port, *chosen) == 2
    said = capsys.readouterr().err.splitlines()
    assert "set donors to a directory made by gather_donors" in said[0]
    assert "is the same policy when this run is resumed; give --restart after it has changed" in said[1]
    assert "openpi server at 127.0.0.1:" in said[-1]
    pieces = list((tmp_path / "out" / "pieces").iterdir())
    assert 0 < len(pieces) < len(EPISODES)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "running"
    with servers.shim(*SHIM, port=port):
        assert command(port, *chosen) == 0
    assert "left out" not in capsys.readouterr().err
    assert len(read_table(tmp_path / "out" / "frames.csv")) == sum(EPISODES)


def test_a_server_that_is_not_there_is_named_before_the_bag_is_read(command, monkeypatch, tmp_path, capsys):
    with servers.shim(*SHIM) as port:
        pass
    monkeypatch.setattr("vla_iss_ros.bags.bag_source.OpenBag.plan", None)
    assert command(port) == 2
    assert f"no openpi server at 127.0.0.1:{port}: " in capsys.readouterr().err
    assert not (tmp_path / "out" / "run.json").exists()


def test_a_complete_run_is_drawn_again_without_its_server(command, capsys):
    with servers.shim(*SHIM) as port:
        assert command(port, "--stride", "4") == 0
    assert command(port, "--stride", "4", "--regions", "none") == 2
    assert "regions" in capsys.readouterr().err
    assert command(port, "--stride", "4") == 0
