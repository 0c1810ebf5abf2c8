# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Reading of bags."""

import pytest
from bag_factory import sample_messages, write_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import Writer as McapWriter
from message_factory import TYPESTORE, String
from rosbags.rosbag2 import StoragePlugin, Writer

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.reader import Bag, Stretch
from vla_iss_ros.bags.writer import BagWriter


@pytest.fixture
def sample(tmp_path):
    return write_bag(tmp_path / "sample", sample_messages((2,)))


def read_all(path):
    with Bag(path) as bag:
        return list(bag.messages())


def test_topics(sample):
    with Bag(sample) as bag:
        assert bag.name == "sample"
        assert bag.topics["/front/image/compressed"] == ("sensor_msgs/msg/CompressedImage", 2)
        assert bag.topics["/instruction"].message_count == 1


def test_only_the_topics_that_are_asked_for(sample):
    with Bag(sample) as bag:
        assert [m.message.data for m in bag.messages(["/instruction", "/absent"])] == ["do task 0"]
        assert list(bag.messages(["/absent"])) == []
        assert list(bag.messages([])) == []


def test_messages_come_in_time_order_and_lazily(tmp_path):
    stamps = [5, 1, 4, 2, 3]
    path = write_bag(tmp_path / "bag", [(f"/topic{s % 2}", String(str(s)), s) for s in stamps])
    with Bag(path) as bag:
        messages = bag.messages()
        assert next(messages).message.data == "1"
        assert [m.stamp for m in messages] == [2, 3, 4, 5]


def test_a_bag_can_be_read_twice(sample):
    with Bag(sample) as bag:
        assert len(list(bag.messages())) == len(list(bag.messages())) == 12


def test_sqlite3_bags_are_read(tmp_path):
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/text", "std_msgs/msg/String", typestore=TYPESTORE)
        writer.write(connection, 7, TYPESTORE.serialize_cdr(String("hello"), "std_msgs/msg/String"))
    assert [(m.stamp, m.message.data) for m in read_all(tmp_path / "bag")] == [(7, "hello")]


def test_messages_of_broken_bytes_are_counted_and_left_out(tmp_path):
    good = bytes(TYPESTORE.serialize_cdr(String("good"), "std_msgs/msg/String"))
    with BagWriter(tmp_path / "bag") as writer:
        for stamp, data in enumerate(
            [b"", good[:6], b"\0\1\0\0\xff\xff\xff\xffab", good[:-2], good, b"\xff" * 9]
        ):
            writer.write_raw("/text", "std_msgs/msg/String", data, stamp)
    with Bag(tmp_path / "bag") as bag:
        assert [m.message.data for m in bag.messages()] == ["good"]
        assert bag.unreadable == {"/text": 5}


def test_a_missing_bag_is_named(tmp_path):
    with pytest.raises(BagError, match="absent' does not exist"):
        Bag(tmp_path / "absent")


def test_a_directory_that_is_no_bag_is_named(tmp_path):
    with pytest.raises(BagError, match=r"has no metadata.yaml; if the recording was cut off"):
        Bag(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "a: b", ": :", "rosbag2_bagfile_information: {version: 99}"])
def test_broken_metadata_is_one_line(sample, text):
    (sample / "metadata.yaml").write_text(text)
    with pytest.raises(BagError, match="cannot read bag") as caught:
        Bag(sample)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_is_one_line(sample, kept):
    file = sample / "sample.mcap"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(BagError, match=r"cannot read bag .*mcap recover") as caught:
        read_all(sample)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(sample):
    (sample / "sample.mcap").unlink()
    with pytest.raises(BagError, match="cannot read bag"):
        Bag(sample)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=5))
def test_no_damaged_file_crashes(sample, changes):
    file = sample / "sample.mcap"
    original = file.read_bytes()
    damaged = bytearray(original)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    file.write_bytes(damaged)
    try:
        read_all(sample)
    except BagError as error:
        text = str(error)
        assert len(text.splitlines()) == 1
    finally:
        file.write_bytes(original)


def write_unchunked(path, stamps):
    """Write an MCAP as the storage preset "fastwrite" does: messages in the file itself, none in chunks."""
    with path.open("wb") as file:
        writer = McapWriter(file, use_chunking=False)
        writer.start(profile="ros2")
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data")
        channel = writer.register_channel("/text", "cdr", schema)
        for stamp in stamps:
            data = bytes(TYPESTORE.serialize_cdr(String(f"text {stamp}"), "std_msgs/msg/String"))
            writer.add_message(channel, stamp, data, stamp)
        writer.finish()
    return path


def test_a_file_without_an_index_is_read_and_says_so(tmp_path, sample):
    path = write_unchunked(tmp_path / "bag.mcap", range(10))
    with Bag(path) as bag:
        assert "it has no index" in bag.advice
        assert "'mcap recover'" in bag.advice
        assert [each.stamp for each in bag.messages()] == list(range(10))
        assert [each.stamp for each in bag.raw_messages(None, 3, 6)] == [3, 4, 5]
        assert [each.message.data for each in bag.messages(None, Stretch(8, 20))] == ["text 8", "text 9"]
    with Bag(sample) as bag:
        assert bag.advice == ""


def test_a_file_without_an_index_is_not_read_beyond_the_stretch(tmp_path):
    second = 10**9
    path = write_unchunked(tmp_path / "bag.mcap", [second * each for each in range(10)])
    data = path.read_bytes()
    # A record of an impossible size, which whoever reads as far stumbles over.
    record = data.rindex(b"text 9") - 8 - 22 - 9
    assert data[record] == 5
    path.write_bytes(data[: record + 1] + bytes(8) + data[record + 9 :])
    with Bag(path) as bag:
        stamps = [each.stamp for each in bag.raw_messages(None, 2 * second, 5 * second)]
        assert stamps == [2 * second, 3 * second, 4 * second]
        with pytest.raises(BagError, match="Invalid message record length"):
            list(bag.raw_messages())


def test_disorder_in_a_file_without_an_index_is_refused(tmp_path):
    path = write_unchunked(tmp_path / "bag.mcap", [0, 1, 6, 3, 7])
    with Bag(path) as bag, pytest.raises(BagError, match="not in timestamp order"):
        list(bag.raw_messages(None, 0, 5))
