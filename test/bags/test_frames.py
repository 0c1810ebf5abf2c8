# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Synchronisation of a bag's messages."""

from collections import Counter

import numpy as np
import pytest
from bag_factory import NAMES, SECOND, START, STEP, jpeg, picture, sample_messages, write_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from message_factory import Image, String, compressed, header, joint_state

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics, iterate_frames
from vla_iss_ros.bags.reader import Bag

TWO = BagTopics(
    images={"a": "/a", "b": "/b"}, labels={}, state="", instruction="/instruction", episode="/episode"
)
BYTES = jpeg(picture(0, 0))


def image(stamp):
    return compressed(BYTES, "jpeg", stamp)


def frames_of(path, topics=None, **options):
    problems = Counter()
    with Bag(path) as bag:
        return list(iterate_frames(bag, topics or BagTopics(), problems, **options)), problems


def pairs(frames):
    def nanoseconds(message):
        return message.header.stamp.sec * SECOND + message.header.stamp.nanosec

    return [tuple(nanoseconds(message) for message in frame.images.values()) for frame in frames]


def test_the_samples_topics(tmp_path):
    frames, problems = frames_of(write_bag(tmp_path / "bag", sample_messages((2, 3))))
    assert problems == {}
    assert [(f.episode, f.index) for f in frames] == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert [f.instruction for f in frames] == ["do task 0"] * 2 + ["do task 1"] * 3
    assert [f.state.position[1] for f in frames] == [0, 1, 0, 1, 2]
    assert frames[1].stamp == START + STEP
    assert set(frames[0].images) == set(frames[0].labels) == {"front", "wrist"}


def test_an_instruction_after_the_images_of_the_same_instant_counts(tmp_path):
    messages = [*sample_messages((2,))]
    frames, _ = frames_of(write_bag(tmp_path / "bag", [*messages[2:], *messages[:2]]))
    assert frames[0].instruction == "do task 0"


def test_the_nearest_stamp_within_the_slop_is_taken(tmp_path):
    millisecond = SECOND // 1000
    firsts = [START + n * 100 * millisecond for n in range(4)]
    offsets = [[-30, 20], [49], [51], [-49]]
    messages = [("/a", image(stamp), stamp) for stamp in firsts]
    for stamp, around in zip(firsts, offsets, strict=True):
        messages += [("/b", image(t), t) for t in (stamp + each * millisecond for each in around)]
    frames, problems = frames_of(write_bag(tmp_path / "bag", messages), TWO)
    assert [b - a for a, b in pairs(frames)] == [20 * millisecond, 49 * millisecond, 49 * millisecond * -1]
    # The third has one 51 ms later and, as the next one's partner, one 51 ms later still.
    assert problems == {"image of b: none within the slop": 1}
    assert [frame.index for frame in frames] == [0, 1, 3]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=12, unique=True),
    st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 300)),
        min_size=1,
        max_size=12,
        unique_by=lambda e: e[0],
    ),
    st.integers(0, 200),
)
def test_streaming_finds_what_a_full_search_finds(tmp_path_factory, firsts, seconds, slop):
    """Log delays of up to 0.3 s, in no order; the whole bag is searched for comparison."""
    scale = SECOND // 1000
    messages = [("/a", image(START + s * scale), START + s * scale) for s in sorted(firsts)]
    messages += [("/b", image(START + s * scale), START + (s + late) * scale) for s, late in seconds]
    path = write_bag(tmp_path_factory.mktemp("bags") / "bag", messages)
    frames, _ = frames_of(path, TWO, slop=slop / 1000, gap=1e6)
    expected = [
        (first, min(abs(first - s) for s, _ in seconds))
        for first in sorted(firsts)
        if min(abs(first - s) for s, _ in seconds) <= slop
    ]
    found = [((a - START) // scale, abs(a - b) // scale) for a, b in pairs(frames)]
    # Messages that are late by more than the slop may come after the decision, but never be worse than the
    # slop.
    assert all(distance <= slop for _, distance in found)
    if all(late == 0 for _, late in seconds):
        assert found == expected


def test_headers_without_a_stamp_use_the_logs(tmp_path):
    messages = [(topic, image(0), START + n * STEP) for n in range(3) for topic in ("/a", "/b")]
    frames, problems = frames_of(write_bag(tmp_path / "bag", messages), TWO)
    assert [frame.stamp for frame in frames] == [START, START + STEP, START + 2 * STEP]
    assert problems == {}


def test_a_camera_that_falls_silent_holds_nothing_up(tmp_path):
    messages = [("/a", image(START + n * STEP), START + n * STEP) for n in range(40)]
    messages += [("/b", image(START + n * STEP), START + n * STEP) for n in range(3)]
    frames, problems = frames_of(write_bag(tmp_path / "bag", messages), TWO)
    assert len(frames) == 3
    assert problems == {"image of b: none within the slop": 37}


def test_messages_without_a_header_or_with_a_bad_stamp_are_counted(tmp_path):
    bad = image(START)
    bad.header.stamp.nanosec = 2**31
    messages = [("/a", bad, START), ("/a", image(START + 1), START + 1)]
    messages += [("/b", String("not an image"), START + 1), ("/b2", image(START + 1), START + 1)]
    path = write_bag(tmp_path / "bag", messages)
    topics = BagTopics({"a": "/a", "b": "/b2"}, {"a": "/b"}, "", "", "")
    frames, problems = frames_of(path, topics)
    assert len(frames) == 1
    assert problems == {"/a: bad stamp": 1, "/b: no header": 1, "labels of a: none within the slop": 1}


def test_what_is_missing_is_counted(tmp_path):
    wanted = ("/front/image/compressed", "/wrist/image/compressed")
    messages = [message for message in sample_messages((2,)) if message[0] in wanted]
    frames, problems = frames_of(write_bag(tmp_path / "bag", messages))
    assert [(frame.state, frame.labels, frame.instruction) for frame in frames] == [(None, {}, "")] * 2
    assert problems == {
        "labels of front: none within the slop": 2,
        "labels of wrist: none within the slop": 2,
        "state: none within the slop": 2,
    }


def test_bad_instructions_keep_the_last_good_one(tmp_path):
    messages = [*sample_messages((2,)), ("/instruction", String("\x07"), START + STEP)]
    frames, problems = frames_of(write_bag(tmp_path / "bag", messages))
    assert [frame.instruction for frame in frames] == ["do task 0"] * 2
    assert problems == {"instruction: control character": 1}


def test_frames_before_the_first_marker_are_left_out(tmp_path):
    early = [("/a", image(START - STEP), START - STEP), ("/b", image(START - STEP), START - STEP)]
    messages = [
        *early,
        ("/episode", String("{}"), START),
        ("/a", image(START), START),
        ("/b", image(START), START),
    ]
    frames, problems = frames_of(write_bag(tmp_path / "bag", messages), TWO)
    assert [(frame.episode, frame.index, frame.stamp) for frame in frames] == [(0, 0, START)]
    assert problems == {"frame: before the first episode": 1}


def test_one_topic_may_serve_twice(tmp_path):
    path = write_bag(tmp_path / "bag", [("/a", image(START), START)])
    frames, _ = frames_of(path, BagTopics({"left": "/a", "right": "/a"}, {}, "", "", ""))
    assert set(frames[0].images) == {"left", "right"}


def test_a_bag_without_a_cameras_topic_is_refused_with_its_topics(tmp_path):
    path = write_bag(tmp_path / "bag", [("/other", joint_state(NAMES, np.zeros(4)), 1)])
    with pytest.raises(
        BagError, match="no images of camera 'front' on '/front/image/compressed'; its topics: /other"
    ):
        frames_of(path)
    with pytest.raises(BagError, match="at least one camera"):
        frames_of(path, BagTopics(images={}))


def test_a_negative_slop_is_refused(tmp_path):
    path = write_bag(tmp_path / "bag", sample_messages((1,)))
    with pytest.raises(ValueError, match="slop must be at least 0 s, got -1"):
        frames_of(path, slop=-1)


def test_unreadable_messages_are_counted_once(tmp_path):
    from vla_iss_ros.bags.writer import BagWriter

    with BagWriter(tmp_path / "bag") as writer:
        for topic, message, stamp in sample_messages((1,)):
            writer.write(topic, message, stamp)
        writer.write_raw(
            "/front/image/compressed", "sensor_msgs/msg/CompressedImage", b"\0\1\0\0abc", START + 1
        )
        writer.write_raw("/instruction", "std_msgs/msg/String", b"\0\1\0\0abc", START + 1)
    _, problems = frames_of(tmp_path / "bag")
    assert problems == {"/front/image/compressed: unreadable": 1, "/instruction: unreadable": 1}


def test_image_topics_may_be_raw(tmp_path):
    message = Image(header(START), 1, 1, "rgb8", 0, 3, np.zeros(3, np.uint8))
    frames, _ = frames_of(
        write_bag(tmp_path / "bag", [("/a", message, START)]), BagTopics({"a": "/a"}, {}, "", "", "")
    )
    assert frames[0].images["a"].encoding == "rgb8"
