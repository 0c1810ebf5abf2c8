# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The bags that an analysis writes, read by the reference MCAP reader."""

import pytest
from bag_factory import CAMERAS, START, STEP, sample_messages, write_bag
from lerobot_factory import NAMES, write_dataset
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from recorded_run import SMALL, analysed, order

from vla_iss_ros.analysis.bag_analysis import Order, analyse
from vla_iss_ros.analysis.engines import SerialEngine
from vla_iss_ros.analysis.published import BagSink
from vla_iss_ros.analysis.run_directory import RunDirectory
from vla_iss_ros.bags.lerobot_source import LeRobotSource

NMR = "/iss_node/output/nmr"


def decoded(path):
    """Return (topic, log stamp, message) of a file."""
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return [
            (channel.topic, logged.log_time, message)
            for _, channel, logged, message in reader.iter_decoded_messages()
        ]


def stamps(path, topic):
    return [logged for name, logged, _ in decoded(path) if name == topic]


def test_recordings_with_the_same_stamps_have_a_file_each(tmp_path):
    # Both start at the same instant, as recordings under simulated time do.
    bags = [write_bag(tmp_path / name, sample_messages((count,))) for name, count in (("a", 2), ("b", 3))]
    directory = RunDirectory(tmp_path / "out")
    analyse(order(*bags), directory, SerialEngine())
    assert [path.name for path in directory.bags] == ["analysis-a.mcap", "analysis-b.mcap"]
    for path, count in zip(directory.bags, (2, 3), strict=True):
        expected = [START + index * STEP for index in range(count)]
        assert stamps(path, NMR) == expected
        assert stamps(path, "/diagnostics") == expected
        for camera in CAMERAS:
            assert stamps(path, f"/iss_node/output/{camera}/overlay/compressed") == expected
    episodes = {
        pair.value
        for topic, _, message in decoded(directory.bag_of("b"))
        if topic == "/diagnostics"
        for pair in message.status[0].values
        if pair.key == "episode"
    }
    assert episodes == {"b/0"}
    assert not list(directory.path.rglob("*.partial"))


def test_data_sets_whose_clocks_all_begin_at_0_are_kept_apart(tmp_path):
    images = tuple((camera, f"observation.images.{camera}") for camera in CAMERAS)
    sources = [
        LeRobotSource(
            name,
            write_dataset(tmp_path / name, lengths=(2,), images=True),
            images,
            "observation.state",
            tuple(NAMES),
        )
        for name in ("one", "two")
    ]
    directory = RunDirectory(tmp_path / "out")
    analyse(Order(sources, SMALL), directory, SerialEngine())
    found = [stamps(path, "/diagnostics") for path in directory.bags]
    assert len(found) == 2
    assert found[0] == found[1]
    assert len(set(found[0])) == 2


def test_files_of_an_earlier_start_with_other_recordings_go(tmp_path):
    bag = write_bag(tmp_path / "a", sample_messages((2,)))
    directory = RunDirectory(tmp_path / "out")
    analysed(bag, directory.path)
    assert directory.bags == [directory.bag]
    directory.bag_of("a").write_bytes(b"of two recordings")
    analysed(bag, directory.path)
    assert directory.bags == [directory.bag]


def test_a_failure_leaves_what_was_there(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.bag.write_bytes(b"earlier")
    with pytest.raises(RuntimeError, match="disk"), BagSink(directory):
        raise RuntimeError("disk")
    assert directory.bag.read_bytes() == b"earlier"


def test_the_bags_are_among_the_outputs_that_a_restart_removes(tmp_path):
    directory = RunDirectory(tmp_path)
    for path in (directory.bag, directory.bag_of("a"), directory.bag_of("b"), tmp_path / "other.mcap"):
        path.write_bytes(b"")
    assert [path.name for path in directory.bags] == ["analysis.mcap", "analysis-a.mcap", "analysis-b.mcap"]
    directory.remove_outputs([])
    assert [path.name for path in tmp_path.iterdir()] == ["other.mcap"]
