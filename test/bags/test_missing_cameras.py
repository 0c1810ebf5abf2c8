# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What stands in for a camera that is missing from a stretch of a bag."""

from collections import Counter

import numpy as np
import pytest
from bag_factory import CAMERAS, START, STEP, frame_messages, jpeg, picture, write_bag
from hypothesis import given
from hypothesis import strategies as st
from message_factory import String, compressed

from vla_iss_ros.bags.bag_source import BagSource
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.missing_cameras import Instant, StandIn, find_instants, find_stand_ins
from vla_iss_ros.ros.synchronisation import Synchroniser
from vla_iss_ros.settings import check

STOOD_IN = "image of {}: missing, another stood in"
TOPICS = {
    f"/{camera}/{kind}": (camera, kind) for camera in CAMERAS for kind in ("image/compressed", "regions")
}


def recording(length, missing, *, wrong=()):
    """Frames 0.1 s apart without the images and labels of ``missing``, camera to range of frames.

    ``wrong``: (frame, camera) whose image is broken.
    """
    yield "/instruction", String("do it"), START
    yield "/episode", String("{}"), START
    for index in range(length):
        stamp = START + index * STEP
        for topic, message in frame_messages(0, index % 8, stamp):
            camera, kind = TOPICS.get(topic, ("", ""))
            if index in missing.get(camera, ()):
                continue
            if (index, camera) in wrong and kind == "image/compressed":
                message = compressed(b"no picture", "jpeg", stamp)
            yield topic, message, stamp


def read(path, length=100, **settings):
    """Return all frames of a bag, read in segments of ``length``, and what was counted."""
    problems: Counter[str] = Counter()
    source = BagSource.of("bag", path, BagTopics(), check({"missing_camera_after": 0.35, **settings}))
    with source.open() as opened:
        plan = opened.plan(length)
        frames = [frame for segment in plan.segments for frame in opened.frames(segment, problems)]
    return frames, problems, plan


def indices(frames):
    return [(frame.observation.stamp - START) // STEP for frame in frames]


def test_a_frame_waits_for_a_missing_camera_unless_asked_otherwise(tmp_path):
    frames, problems, _ = read(write_bag(tmp_path / "bag", recording(12, {"wrist": range(3, 10)})))
    assert indices(frames) == [0, 1, 2, 10, 11]
    assert problems["image of wrist: none within the slop"] == 7


@pytest.mark.parametrize("length", [1, 2, 3, 100])
@pytest.mark.parametrize("kind", ["hold", "blank"])
def test_another_image_stands_in_once_the_camera_is_missing(tmp_path, length, kind):
    path = write_bag(tmp_path / "bag", recording(12, {"wrist": range(3, 10)}))
    frames, problems, plan = read(path, length, missing_camera=kind)
    # Its last image is of frame 2. Frames 3 to 5 are 0.1 to 0.3 s after it, which is not yet missing.
    assert indices(frames) == [0, 1, 2, 6, 7, 8, 9, 10, 11]
    assert [frame.frame for frame in frames] == indices(frames)
    assert [sorted(frame.stood_in) for frame in frames] == [[]] * 3 + [["wrist"]] * 4 + [[]] * 2
    assert problems[STOOD_IN.format("wrist")] == 4
    assert problems["image of wrist: none within the slop"] == 3
    assert sum(segment.frames for segment in plan.segments) == 12
    for frame in frames:
        index = indices([frame])[0]
        missing = index in range(3, 10)
        front, wrist = (frame.observation.images[camera] for camera in CAMERAS)
        assert np.abs(front.astype(int) - picture(0, index % 8)).max() < 8
        shown = picture(0, 2 if missing else index % 8)
        expected = np.zeros_like(shown) if missing and kind == "blank" else shown
        assert np.abs(wrist.astype(int) - expected).max() < 8
        assert ("wrist" in frame.encoded) == (not missing or kind == "hold")
        # Its labels are those of the image that stands in, and its stamp is that image's own.
        assert frame.stamps["wrist"] == START + (2 if missing else index) * STEP
        assert set(frame.labels) == set(CAMERAS)


@pytest.mark.parametrize("length", [1, 3, 100])
def test_the_other_camera_sets_the_instants_while_the_first_is_missing(tmp_path, length):
    path = write_bag(tmp_path / "bag", recording(14, {"front": range(4, 12)}))
    frames, problems, _ = read(path, length, missing_camera="hold")
    assert indices(frames) == [0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13]
    # Without the first camera there is no instant in the first 0.35 s, so frames count without those three.
    assert [frame.frame for frame in frames] == list(range(11))
    assert [sorted(frame.stood_in) for frame in frames] == [[]] * 4 + [["front"]] * 5 + [[]] * 2
    assert problems == {STOOD_IN.format("front"): 5}
    assert {frame.stamps["front"] for frame in frames[4:9]} == {START + 3 * STEP}
    assert [frame.stamps["wrist"] for frame in frames] == [frame.observation.stamp for frame in frames]


def test_a_camera_that_has_not_begun_has_nothing_that_stands_in(tmp_path):
    path = write_bag(tmp_path / "bag", recording(12, {"wrist": range(8)}))
    frames, problems, _ = read(path, missing_camera="hold")
    assert indices(frames) == [8, 9, 10, 11]
    assert problems["image of wrist: none within the slop"] == 8
    path = write_bag(tmp_path / "other", recording(12, {"front": range(8)}))
    assert indices(read(path, missing_camera="hold")[0]) == [8, 9, 10, 11]


def test_a_broken_image_stands_in_for_nothing_that_is_counted_as_good(tmp_path):
    path = write_bag(tmp_path / "bag", recording(8, {"wrist": range(3, 8)}, wrong=[(2, "wrist")]))
    frames, problems, _ = read(path, missing_camera="hold")
    assert indices(frames) == [0, 1]
    # One of frame 2 itself; it is what is left of the camera in frames 6 and 7, too.
    assert problems == {
        "image of wrist: wrong format": 3,
        "image of wrist: none within the slop": 3,
        "labels of wrist: none within the slop": 3,
    }


def test_no_image_stands_in_for_one_of_another_episode(tmp_path):
    messages = [*recording(12, {"wrist": range(3, 12)}), ("/episode", String("{}"), START + 8 * STEP)]
    frames, problems, _ = read(write_bag(tmp_path / "bag", sorted(messages, key=lambda each: each[2])), 100)
    assert indices(frames) == [0, 1, 2]
    path = write_bag(tmp_path / "other", sorted(messages, key=lambda each: each[2]))
    frames, problems, _ = read(path, missing_camera="hold")
    assert indices(frames) == [0, 1, 2, 6, 7]
    assert problems["image of wrist: none within the slop"] == 3 + 4


# Its last image is of frame 4: frame 8 is 0.4 s after it, frame 15 is 1.1 s after it.
@pytest.mark.parametrize(("after", "returns"), [(0.35, 8), (1.0, 15)])
@pytest.mark.parametrize("camera", CAMERAS)
def test_the_outage_of_a_camera_that_is_stood_in_for_ends_no_episode(tmp_path, camera, after, returns):
    messages = [each for each in recording(40, {camera: range(5, 30)}) if each[0] != "/episode"]
    held = {"missing_camera": "hold", "missing_camera_after": after}
    frames, _, plan = read(write_bag(tmp_path / "bag", messages), 7, **held)
    assert plan.episodes == ("bag/0",)
    assert indices(frames) == [*range(5), *range(returns, 40)]
    waiting = read(write_bag(tmp_path / "other", messages), 7)[2]
    assert len(waiting.episodes) == (2 if camera == "front" else 1)


def test_a_pause_of_all_cameras_ends_an_episode_whatever_stands_in(tmp_path):
    both = range(12, 24)
    messages = [each for each in recording(30, {"front": both, "wrist": both}) if each[0] != "/episode"]
    frames, _, plan = read(write_bag(tmp_path / "bag", messages), missing_camera="hold")
    assert plan.episodes == ("bag/0", "bag/1")
    assert [frame.frame for frame in frames] == [*range(12), *range(6)]


def test_no_episode_lies_before_the_first_camera_begins(tmp_path):
    missing = {"front": range(30), "wrist": range(5, 20)}
    messages = [each for each in recording(35, missing) if each[0] != "/episode"]
    frames, _, plan = read(write_bag(tmp_path / "bag", messages), missing_camera="hold")
    assert plan.episodes == ("bag/0",)
    assert indices(frames) == [30, 31, 32, 33, 34]


@pytest.mark.parametrize("kind", ["wait", "hold", "blank"])
@pytest.mark.parametrize("gap", [0.0, -1.0, float("nan")])
def test_a_gap_must_be_above_zero_whatever_stands_in(tmp_path, kind, gap):
    messages = [each for each in recording(3, {}) if each[0] != "/episode"]
    path = write_bag(tmp_path / "bag", messages)
    source = BagSource.of("bag", path, BagTopics(), check({"missing_camera": kind}), gap)
    with source.open() as opened, pytest.raises(ValueError, match=f"gap must be above 0 s, got {gap}"):
        opened.plan(10)


def of_live(messages, after):
    """Return the stamps of the sets that the node's synchroniser hands out."""
    found = []
    synchroniser = Synchroniser(
        CAMERAS,
        0.05,
        lambda _, stamps: found.append(dict(stamps)),
        missing_after=after,
    )
    for topic, message, stamp in messages:
        camera, kind = TOPICS.get(topic, ("", ""))
        if kind == "image/compressed":
            synchroniser.add(camera, stamp, message)
    return found


@pytest.mark.parametrize(
    ("missing", "late"),
    [
        ({"wrist": range(3, 20)}, []),
        ({"front": range(5, 21)}, [20]),
        ({"wrist": range(2, 9), "front": range(15, 24)}, [23]),
        ({"wrist": range(4, 7)}, []),
    ],
)
def test_the_same_sets_as_the_node(tmp_path, missing, late):
    """``late``: what the node does not get to: the camera returns before the next message shows that it waits."""
    messages = list(recording(30, missing))
    frames, _, _ = read(write_bag(tmp_path / "bag", messages), 4, missing_camera="hold")
    in_time = [frame for frame in frames if indices([frame])[0] not in late]
    assert len(in_time) == len(frames) - len(late)
    assert [dict(frame.stamps) for frame in in_time] == of_live(messages, 0.35)


def test_instants_and_stand_ins_by_hand():
    logged = {"a": [0, 10, 20, 100], "b": [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 101], "c": [2, 12]}
    instants = find_instants(logged, after=30, slop=5)
    # b is alone from 21 + 30 on, until 97, where a's next image is within the slop.
    assert instants == [(0, "a"), (10, "a"), (20, "a"), *((t, "b") for t in (51, 61, 71, 81, 91)), (100, "a")]
    assert find_stand_ins(instants, logged, after=30, slop=5) == [
        *(StandIn(*each) for t in (51, 61, 71, 81, 91) for each in ((t, "a", 20), (t, "c", 12))),
        StandIn(100, "c", 12),
    ]
    assert find_instants({"a": [1, 2], "b": []}, 1, 1) == [Instant(1, "a"), Instant(2, "a")]
    assert find_instants({"a": [], "b": [1]}, 1, 1) == []


stamps = st.lists(st.integers(0, 60), max_size=12).map(sorted)


@given(stamps, stamps, st.integers(1, 20), st.integers(0, 5))
def test_no_instant_lies_where_the_first_camera_is_and_every_stand_in_is_the_last_image(a, b, after, slop):
    logged = {"a": a, "b": b}
    instants = find_instants(logged, after, slop)
    assert [t for t, camera in instants if camera == "a"] == a
    assert [t for t, _ in instants] == sorted(t for t, _ in instants)
    for t, camera in instants:
        if camera == "b":
            assert t in b
            assert not any(t - after <= other <= t + slop for other in a)
            assert any(other < t for other in a)
    for at, camera, of in find_stand_ins(instants, logged, after, slop):
        assert of < at - after
        assert of == max(t for t in logged[camera] if t <= at + slop)


def test_a_camera_may_be_missing_for_longer_than_what_is_read_around_a_segment(tmp_path):
    path = write_bag(tmp_path / "bag", recording(60, {"wrist": range(3, 60)}))
    frames, problems, _ = read(path, 5, missing_camera="hold")
    assert indices(frames) == [0, 1, 2, *range(6, 60)]
    assert problems[STOOD_IN.format("wrist")] == 54
    assert {frame.stamps["wrist"] for frame in frames[3:]} == {START + 2 * STEP}
    assert frames[-1].encoded["wrist"] == jpeg(picture(0, 2))
