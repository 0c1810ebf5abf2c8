# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
from types import SimpleNamespace

import av
import numpy as np
import pytest
from bag_factory import CAMERAS, sample_messages, write_bag
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from recorded_run import analysed

from vla_iss_ros.analysis.pieces import Maps
from vla_iss_ros.analysis.run_directory import AnalysisRun


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("outputs")
    bag = write_bag(directory / "tiny", sample_messages((4, 3)))
    analysed(bag, directory / "out", stride=2)
    with AnalysisRun.open(directory / "out") as opened:
        yield opened


@pytest.fixture(scope="module")
def messages(run):
    found = {}
    with run.directory.bag.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for _, channel, logged, message in reader.iter_decoded_messages():
            found.setdefault(channel.topic, []).append(
                SimpleNamespace(log_time_ns=logged.log_time, ros_msg=message)
            )
    return found


def stamp_of(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_nothing_but_the_outputs_is_there(run):
    names = {path.name for path in run.directory.path.iterdir()} - {"report.html"}
    assert names == {
        ".lock",
        "analysis.mcap",
        "frames.csv",
        "frames.parquet",
        "front.mp4",
        "maps",
        "pieces",
        "run.json",
        "wrist.mp4",
    }


def test_an_independent_reader_finds_the_node_topics_with_the_stamps_of_the_inputs(run, messages):
    stamps = [row.stamp for row in run.rows]
    for camera in CAMERAS:
        for topic in ("overlay/compressed", "saliency", "regions"):
            found = messages[f"/iss_node/output/{camera}/{topic}"]
            assert [stamp_of(each.ros_msg) for each in found] == stamps
            assert [each.log_time_ns for each in found] == stamps
        errors = [stamp_of(each.ros_msg) for each in messages[f"/iss_node/output/{camera}/stderr"]]
        assert errors == [row.stamp for row in run.rows if row.explained]


def test_raw_maps_and_nmr_are_those_of_the_run(run, messages):
    for camera in CAMERAS:
        for row, each in zip(run.rows, messages[f"/iss_node/output/{camera}/saliency"], strict=True):
            image = each.ros_msg
            assert image.encoding == "32FC1"
            pixels = np.frombuffer(image.data, "<f4").reshape(image.height, image.width)
            assert np.array_equal(pixels, run.contrast(row, camera))
    values = [each.ros_msg.data for each in messages["/iss_node/output/nmr"]]
    assert values == pytest.approx([row.ratios[10].value for row in run.rows], abs=1e-6)


def test_diagnostics_have_the_names_of_the_node(run, messages):
    statuses = [each.ros_msg.status[0] for each in messages["/diagnostics"]]
    assert len(statuses) == len(run.rows)
    values = {pair.key: pair.value for pair in statuses[0].values}
    assert statuses[0].name == "/iss_node: NMR"
    assert float(values["NMR@10"]) == run.rows[0].ratios[10].value
    assert values["interpolated"] == "False"
    assert {"chance", "floor", "samples N", "effect camera front share", "seconds policy"} <= set(values)


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_video_a_camera_shows_every_frame_in_its_time(run, camera):
    with av.open(str(run.directory.video(camera))) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        times = [frame.time for frame in container.decode(stream)]
    # Four frames 0.1 s apart, half a second instead of the pause, and three more.
    assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.8, 0.9, 1.0], abs=1e-3)


def test_map_files_say_what_made_them(run):
    data = (run.directory.maps / "tiny-1.npz").read_bytes()
    maps, about = Maps.of_bytes(data)
    assert maps.contrast.shape == (3, 18)
    assert list(maps.stamps) == [row.stamp for row in run.rows[4:]]
    assert about["explained"] == [True, False, True]
    assert about["settings"]["samples"] == 32
    assert about["seed"] == 0
    assert about["policy_hash"] == run.info["identity"]["policy hash"]
    assert "torch" in about["versions"]
    with np.load(run.directory.maps / "tiny-1.npz", allow_pickle=False) as archive:
        assert json.loads(str(archive["metadata"]))["cells"]["rows"] == 3
