# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from bag_factory import CAMERAS, START, STEP, jpeg, picture, sample_messages, write_bag
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vla_iss_ros.bags.bag_source import LOST, BagSource
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.settings import check


def source(path: Path, **topics) -> BagSource:
    return BagSource.of("bag", path, BagTopics(**topics), check({}))


def read_all(path: Path, length: int, **topics):
    problems: Counter[str] = Counter()
    with source(path, **topics).open() as opened:
        plan = opened.plan(length)
        frames = [frame for segment in plan.segments for frame in opened.frames(segment, problems)]
    return plan, frames, problems


def rewritten(path: Path, target: Path, plugin: StoragePlugin, mode: CompressionMode) -> Path:
    """Copy a bag into another storage, compressed in another way."""
    with Reader(path) as reader:
        writer = Writer(target, version=9, storage_plugin=plugin)
        if mode != CompressionMode.NONE:
            writer.set_compression(mode, CompressionFormat.ZSTD)
        with writer:
            store = get_typestore(Stores.ROS2_JAZZY)
            topics = {
                connection.topic: writer.add_connection(connection.topic, connection.msgtype, typestore=store)
                for connection in reader.connections
            }
            for connection, stamp, data in reader.messages(reader.connections):
                writer.write(topics[connection.topic], stamp, data)
    return target


@pytest.mark.parametrize("length", [1, 2, 3, 100])
def test_segments_hold_the_frames_of_the_whole_bag_whatever_their_length(tmp_path, length):
    path = write_bag(tmp_path / "bag", sample_messages((5, 4, 3)))
    with Bag(path) as bag:
        whole = list(iterate_observations(bag))
    plan, frames, problems = read_all(path, length)
    assert not problems
    assert sum(segment.frames for segment in plan.segments) == 12
    assert max(segment.frames for segment in plan.segments) <= length
    assert plan.episodes == ("bag/0", "bag/1", "bag/2")
    assert [frame.frame for frame in frames] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2]
    for frame, expected in zip(frames, whole, strict=True):
        assert frame.observation.stamp == expected.observation.stamp
        assert frame.observation.instruction == expected.observation.instruction
        assert np.array_equal(frame.observation.state, expected.observation.state)
        for camera in CAMERAS:
            assert np.array_equal(frame.observation.images[camera], expected.observation.images[camera])
            assert np.array_equal(frame.labels[camera], expected.labels[camera])


@pytest.mark.parametrize(
    ("plugin", "mode"),
    [
        (StoragePlugin.SQLITE3, CompressionMode.NONE),
        (StoragePlugin.SQLITE3, CompressionMode.FILE),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
        (StoragePlugin.MCAP, CompressionMode.FILE),
        (StoragePlugin.MCAP, CompressionMode.MESSAGE),
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
    ],
)
def test_every_storage_and_compression_is_read_alike(tmp_path, plugin, mode):
    path = write_bag(tmp_path / "bag", sample_messages((3, 2)))
    other = rewritten(path, tmp_path / "other", plugin, mode)
    _, expected, _ = read_all(path, 2)
    _, found, problems = read_all(other, 2)
    assert not problems
    assert [frame.observation.stamp for frame in found] == [frame.observation.stamp for frame in expected]
    assert np.array_equal(found[-1].observation.images["wrist"], expected[-1].observation.images["wrist"])


def test_a_split_bag_is_one_recording(tmp_path):
    messages = list(sample_messages((3, 2)))
    half = next(place for place, (topic, _, _) in enumerate(messages) if topic == "/episode" and place)
    write_bag(tmp_path / "bag_0", messages[:half])
    write_bag(tmp_path / "bag_1", messages[half:])
    split = tmp_path / "split"
    split.mkdir()
    about = [yaml.safe_load((tmp_path / f"bag_{part}" / "metadata.yaml").read_text()) for part in (0, 1)]
    both = about[0]["rosbag2_bagfile_information"]
    rest = about[1]["rosbag2_bagfile_information"]
    both["relative_file_paths"] += rest["relative_file_paths"]
    both["message_count"] += rest["message_count"]
    both["duration"]["nanoseconds"] = (
        rest["starting_time"]["nanoseconds_since_epoch"]
        + rest["duration"]["nanoseconds"]
        - both["starting_time"]["nanoseconds_since_epoch"]
    )
    both.pop("files", None)
    for mine, other in zip(both["topics_with_message_count"], rest["topics_with_message_count"], strict=True):
        mine["message_count"] += other["message_count"]
    for part in (0, 1):
        (tmp_path / f"bag_{part}" / f"bag_{part}.mcap").rename(split / f"bag_{part}.mcap")
    (split / "metadata.yaml").write_text(yaml.safe_dump(about[0]))
    plan, frames, problems = read_all(split, 2)
    assert len(frames) == 5
    assert plan.episodes == ("bag/0", "bag/1")
    assert not problems


def test_the_newest_stamp_of_a_set_is_the_frames_and_every_camera_keeps_its_own(tmp_path):
    late = 2_000_000
    messages = []
    for topic, message, stamp in sample_messages((2,)):
        if topic == "/wrist/image/compressed":
            message.header.stamp.nanosec += late
        messages.append((topic, message, stamp))
    _, frames, _ = read_all(write_bag(tmp_path / "bag", messages), 10)
    assert frames[0].observation.stamp == START + late
    assert frames[0].stamps == {"front": START, "wrist": START + late}


def test_the_state_may_be_as_old_as_for_the_nodes(tmp_path):
    messages = [
        each for each in sample_messages((8,)) if each[0] != "/end_effector_state" or each[2] == START
    ]
    _, frames, problems = read_all(write_bag(tmp_path / "bag", messages), 3)
    assert len(frames) == 8
    assert all(frame.observation.state is not None for frame in frames)
    assert not problems


def test_bad_messages_are_counted_once_although_segments_overlap(tmp_path):
    messages = list(sample_messages((6,)))
    place = next(
        index
        for index, (topic, _, stamp) in enumerate(messages)
        if topic == "/wrist/regions" and stamp == START + 3 * STEP
    )
    topic, message, stamp = messages[place]
    messages[place] = (topic, dataclasses.replace(message, format="jpeg", data=message.data[:9]), stamp)
    plan, frames, problems = read_all(write_bag(tmp_path / "bag", messages), 1)
    assert len(plan.segments) == len(frames) == 6
    assert sum(problems.values()) == 1
    assert "wrist" not in frames[3].labels


def test_images_lost_in_a_damaged_chunk_are_counted(tmp_path):
    path = write_bag(tmp_path / "bag", sample_messages((8,)))
    file = path / "bag.mcap"
    data = bytearray(file.read_bytes())
    # The fifth image of the front camera, with the headers of the records around it.
    place = data.find(jpeg(picture(0, 4)))
    data[place - 200 : place + 20] = b"\xff" * 220
    file.write_bytes(bytes(data))
    plan, frames, _ = read_all(path, 4)
    assert plan.problems[LOST] == 8 - len(frames) > 0


def test_what_is_missing_is_named(tmp_path):
    path = write_bag(tmp_path / "bag", sample_messages((2,)))
    with pytest.raises(BagError, match=r"no images of camera 'side' on '/nowhere'; its topics: .*/episode"):
        source(path, images={"side": "/nowhere"}).open()
    with source(path).open() as opened, pytest.raises(ValueError, match="at least 1 frame, got 0"):
        opened.plan(0)


def test_the_description_changes_with_the_bag(tmp_path):
    path = write_bag(tmp_path / "bag", sample_messages((2,)))
    before = source(path).describe()
    assert before["topics"]["images"]["front"] == "/front/image/compressed"
    (path / "analysis").mkdir()
    (path / "analysis" / "analysis.mcap").write_text("x")
    (path / "notes.txt").write_text("x")
    assert source(path).describe() == before
    (path / "more.mcap").write_text("x")
    assert source(path).describe()["fingerprint"] != before["fingerprint"]


def test_the_description_of_a_single_file_changes_with_it(tmp_path):
    path = write_bag(tmp_path / "bag", sample_messages((2,))) / "bag.mcap"
    before = source(path).describe()
    assert source(path).describe() == before
    path.write_bytes(b"x")
    assert source(path).describe()["fingerprint"] != before["fingerprint"]
