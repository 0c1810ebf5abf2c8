# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writing of bags."""

from pathlib import Path

import numpy as np
import pytest
from bag_factory import sample_messages, write_bag
from message_factory import TYPESTORE, String, image_of, joint_state
from rosbags.highlevel import AnyReader

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.bags.writer import BagWriter


def test_typed_messages_come_back(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    written = [
        ("/image", image_of(pixels, "rgb8", padding=3, stamp=5), 5),
        ("/text", String("hello"), 6),
        ("/state", joint_state(["a"], [1.5], 7), 7),
    ]
    path = write_bag(tmp_path / "deep" / "bag", written)
    with Bag(path) as bag:
        read = [(m.topic, m.message, m.stamp) for m in bag.messages()]
    assert [(topic, stamp) for topic, _, stamp in read] == [(topic, stamp) for topic, _, stamp in written]
    assert read[0][1].data.tolist() == written[0][1].data.tolist()
    assert read[1][1].data == "hello"


def test_it_is_an_ordinary_mcap_rosbag2(tmp_path):
    path = write_bag(tmp_path / "bag", sample_messages((1,)))
    assert sorted(file.name for file in path.iterdir()) == ["bag.mcap", "metadata.yaml"]
    metadata = (path / "metadata.yaml").read_text()
    assert "version: 9" in metadata
    assert "- bag.mcap" in metadata
    with AnyReader([path]) as reader:
        assert reader.message_count == 7


def test_raw_bytes_are_stored_as_they_came(tmp_path):
    data = bytes(TYPESTORE.serialize_cdr(String("as it came"), "std_msgs/msg/String"))
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_raw("/text", "std_msgs/msg/String", data, 3)
    with Bag(tmp_path / "bag") as bag:
        assert [raw.data for raw in bag.raw_messages()] == [data]
        assert next(bag.messages()).message.data == "as it came"


def test_the_bag_has_its_name_only_when_it_is_complete(tmp_path):
    path = tmp_path / "bag"
    with BagWriter(path) as writer:
        writer.write("/text", String("x"), 1)
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["bag"]


def test_a_failure_leaves_nothing(tmp_path):
    def fail() -> None:
        with BagWriter(tmp_path / "bag") as writer:
            writer.write("/text", String("x"), 1)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bag_is_kept_unless_overwritten(tmp_path):
    path = write_bag(tmp_path / "bag", [("/text", String("old"), 1)])
    with pytest.raises(BagError, match="bag' exists already; choose another name"):
        BagWriter(path)
    with BagWriter(path, overwrite=True) as writer:
        writer.write("/text", String("new"), 1)
    with Bag(path) as bag:
        assert next(bag.messages()).message.data == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["bag"]


def text_of(path):
    with Bag(path) as bag:
        return [each.message.data for each in bag.messages()]


def finish_to_find(path, text, overwrite=False, before_the_end=lambda: None):
    """Record ``text``, and return where it was kept when it could not take its name."""
    writer = BagWriter(path, overwrite=overwrite).__enter__()
    writer.write("/text", String(text), 1)
    before_the_end()
    with pytest.raises(BagError, match="; the recording is kept in '") as caught:
        writer.__exit__(None, None, None)
    return Path(str(caught.value).split("kept in '")[1].removesuffix("'"))


def test_a_finished_recording_stays_when_another_took_its_name(tmp_path):
    path = tmp_path / "bag"
    kept = finish_to_find(
        path, "second", before_the_end=lambda: write_bag(path, [("/text", String("first"), 1)])
    )
    assert (text_of(path), text_of(kept)) == (["first"], ["second"])
    again = finish_to_find(path, "third", True, lambda: (path / "metadata.yaml").unlink())
    assert (text_of(kept), text_of(again)) == (["second"], ["third"])


def test_a_failed_rename_keeps_the_old_and_the_new_bag(tmp_path, monkeypatch):
    path = write_bag(tmp_path / "bag", [("/text", String("old"), 1)])
    rename = Path.rename

    def fail_for_the_new(source, target):
        if source.name == "bag" and target == path:
            raise OSError("no luck")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    kept = finish_to_find(path, "new", overwrite=True)
    assert (text_of(path), text_of(kept)) == (["old"], ["new"])


def test_what_is_not_a_bag_is_never_overwritten(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    with pytest.raises(BagError, match="is not a bag"):
        BagWriter(tmp_path / "precious", overwrite=True)
    assert (tmp_path / "precious" / "file").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BagError, match="cannot write bag"), BagWriter(tmp_path / "file" / "bag"):
        pass


def test_wrong_writes_are_refused(tmp_path):
    writer = BagWriter(tmp_path / "bag")
    with pytest.raises(BagError, match="is not open for writing"):
        writer.write("/text", String("x"), 1)
    with writer:
        writer.write("/text", String("x"), 1)
        with pytest.raises(
            BagError, match="'/text' has type std_msgs/msg/String, got a message of sensor_msgs"
        ):
            writer.write("/text", joint_state(["a"], [1.0]), 2)
        with pytest.raises(BagError, match="'/other' must be of the typestore, got str"):
            writer.write("/other", "x", 2)
        with pytest.raises(BagError, match="cannot serialise std_msgs/msg/String for '/text'"):
            writer.write("/text", String(5), 2)
        with pytest.raises(BagError, match="cannot record '/new' of type no_msgs/msg/None"):
            writer.write_raw("/new", "no_msgs/msg/None", b"", 2)
        with pytest.raises(BagError, match="must not be negative, got -1 ns"):
            writer.write("/text", String("x"), -1)
    with Bag(tmp_path / "bag") as bag:
        assert len(list(bag.messages())) == 1
