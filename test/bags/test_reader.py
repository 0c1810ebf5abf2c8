"""Reading of bags."""

import pytest
from bag_factory import sample_messages, write_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from message_factory import TYPESTORE, String
from rosbags.rosbag2 import StoragePlugin, Writer

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.reader import Bag
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
