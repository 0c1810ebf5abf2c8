# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""bag_player, iss_node, policy_node and output_recorder together, each in a process of its own."""

from pathlib import Path

import pytest
import yaml
from harness import CAMERAS, PATIENCE, stamp_of
from tiny_bag import FRAMES, REMAPPINGS, START, STEP, stamps, write_bag

from vla_iss_ros.bags.reader import Bag

AGGREGATOR = Path(__file__).parents[2] / "config" / "diagnostics_aggregator.yaml"


@pytest.fixture(scope="module")
def recording(launch, probe, small, checkpoint, tmp_path_factory):
    directory = tmp_path_factory.mktemp("recording")
    output = directory / "output"
    recorder = launch(
        "output_recorder",
        bag=str(output),
        topics='["/diagnostics", "/instruction std_msgs/msg/String"]',
        use_sim_time=True,
    )
    node = launch("iss_node", *REMAPPINGS, **{**small, "image_reliability": "reliable"})
    policy = launch(
        "policy_node",
        *REMAPPINGS,
        policy=f"builtin:{checkpoint}",
        cameras=str(list(CAMERAS)),
        image_reliability="reliable",
    )
    probe.until(lambda: "recording /policy_node/output/action_chunk" in recorder.log, "the recorder ready")
    outputs = 5 * len(CAMERAS) + 4
    probe.until(lambda: recorder.log.count("recording /iss_node/output/") == outputs, "the recorder ready")
    player = launch("bag_player", bag=str(write_bag(directory / "tiny")), rate=0.25, wait_for_subscribers=2)
    probe.until(lambda: player.process.poll() is not None, "the bag's end")
    assert player.process.returncode == 0
    probe.until(lambda: probe.value("/iss_node: pipeline", "frames done") not in (None, "0"))
    assert not output.exists()
    for process in (node, policy, recorder):
        status, _ = process.end()
        assert status == 0, process.log
        assert "Traceback" not in process.log
    return output


def test_outputs_are_recorded_with_the_headers_of_their_inputs(recording):
    sent = {*stamps(0), *stamps(1)}
    with Bag(recording) as bag:
        assert not bag.unreadable
        received = {topic: list(bag.messages([topic])) for topic in bag.topics}
    for camera in CAMERAS:
        for name in ("overlay", "overlay/compressed", "saliency", "stderr", "regions"):
            messages = received[f"/iss_node/output/{camera}/{name}"]
            assert len(messages) > FRAMES
            assert {stamp_of(each.message) for each in messages} <= sent
            assert {each.message.header.frame_id for each in messages} == {f"{camera}_camera"}
    for topic in ("/iss_node/output/nmr", "/iss_node/output/chart", "/policy_node/output/action_chunk"):
        assert len(received[topic]) > FRAMES
    assert received["/instruction"][0].message.data == "press the button"


def test_what_is_logged_on_simulated_time_lines_up_with_the_played_bag(recording):
    last = stamps(1)[-1]
    with Bag(recording) as bag:
        messages = list(bag.messages())
    assert len(messages) > FRAMES
    assert all(START <= each.stamp <= last for each in messages)
    overlays = [each for each in messages if each.topic.endswith("/overlay")]
    # A picture is logged when its image had been played, give or take what /clock is late.
    assert overlays
    assert all(each.stamp > stamp_of(each.message) - STEP for each in overlays)


def test_both_nodes_diagnostics_are_recorded(recording):
    names = set()
    with Bag(recording) as bag:
        for each in bag.messages(["/diagnostics"]):
            names |= {status.name for status in each.message.status}
    assert {
        "/iss_node: NMR",
        "/iss_node: pipeline",
        "/iss_node: policy agreement",
        "/policy_node: actions",
    } <= names
    groups = yaml.safe_load(AGGREGATOR.read_text(encoding="utf-8"))["/**"]["ros__parameters"].values()
    parts = [part for group in groups if isinstance(group, dict) for part in group["contains"]]
    assert not [name for name in names if not any(part in name for part in parts)]


def test_a_recorder_without_a_place_to_write_ends_with_one_line(launch, recording):
    for values, line in (
        ({"bag": str(recording)}, "exists already; choose another name or allow overwriting"),
        ({}, "bag must be set: -p bag:=DIRECTORY"),
        ({"bag": "x", "pattern": "("}, "pattern must be a regular expression, got '('"),
    ):
        process = launch("output_recorder", **values)
        assert process.process.wait(PATIENCE) == 1
        assert line in process.log
        assert len(process.log.splitlines()) == 1
