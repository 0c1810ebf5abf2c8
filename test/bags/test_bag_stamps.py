# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The stamps of a bag's frames where cameras differ in rate, clocks start anew and the log keeps another clock."""

from collections import Counter

import pytest
from bag_factory import START, STEP, frame_messages, write_bag
from message_factory import String, Time

from vla_iss_ros.bags.bag_source import NOT_AFTER, BagSource
from vla_iss_ros.bags.frames import REPEATED, BagTopics
from vla_iss_ros.settings import check

MILLISECOND = 10**6
WALL = 1_700_000_000 * 10**9


def read(path, length=100, cameras=("front", "wrist"), **settings):
    """Return the plan, the frames and what was counted, read in segments of ``length``."""
    problems: Counter[str] = Counter()
    topics = BagTopics(
        images={camera: f"/{camera}/image/compressed" for camera in cameras}, labels={}, state=""
    )
    with BagSource.of("bag", path, topics, check({"instruction": "go", **settings})).open() as opened:
        plan = opened.plan(length)
        frames = [frame for segment in plan.segments for frame in opened.frames(segment, problems)]
    return plan, frames, problems


def images(camera, headers, log=0):
    """Images of ``camera`` whose headers' stamps are ``headers`` ns, logged ``log`` ns later each."""
    for stamp in headers:
        for topic, message in frame_messages(0, 0, stamp, (camera,)):
            if topic == f"/{camera}/image/compressed":
                yield topic, message, stamp + log


def in_order(*streams):
    return sorted((each for stream in streams for each in stream), key=lambda each: each[2])


def milliseconds(*values):
    return [START + value * MILLISECOND for value in values]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 100])
def test_frames_that_share_their_newest_image_are_left_out_before_the_policy(tmp_path, length):
    front = images("front", milliseconds(0, 33, 67, 100, 133, 167, 200))
    path = write_bag(tmp_path / "bag", in_order(front, images("wrist", milliseconds(0, 100, 200))))
    _, frames, problems = read(path, length)
    # 67 and 100 both have the image of 100 as their newest one; 167 and 200 that of 200.
    assert [frame.observation.stamp for frame in frames] == milliseconds(0, 33, 100, 133, 200)
    assert [frame.stamps["front"] for frame in frames] == milliseconds(0, 33, 67, 133, 167)
    assert [frame.frame for frame in frames] == [0, 1, 2, 4, 5]
    assert problems == {REPEATED: 2}


@pytest.mark.parametrize("length", [1, 2, 3, 4, 100])
def test_so_are_those_with_a_camera_that_is_stood_in_for(tmp_path, length):
    front = images("front", milliseconds(*(100 * n + part for n in range(20) for part in (0, 33, 67))))
    wrist = images("wrist", milliseconds(*range(0, 2000, 100)))
    path = write_bag(tmp_path / "bag", in_order(front, wrist, images("top", milliseconds(0))))
    settings = {"missing_camera": "hold", "missing_camera_after": 1.01}
    _, frames, problems = read(path, length, ("front", "wrist", "top"), **settings)
    # The top camera is missing from 1033 ms on; 1967 has no image of the wrist camera.
    expected = milliseconds(0, 33, *(100 * n + part for n in range(10, 19) for part in (33, 100)), 1933)
    assert [frame.observation.stamp for frame in frames] == expected
    assert all(frame.stood_in == {"top"} for frame in frames[2:])
    # Those of 1100, 1200, ... 1900 ms.
    assert problems[REPEATED] == 9


def test_an_episode_may_begin_with_the_stamp_of_the_one_before(tmp_path):
    messages = []
    for episode in range(3):
        log = WALL + episode * STEP
        messages.append(("/episode", String("{}"), START + log))
        messages += in_order(images("front", [START], log), images("wrist", [START], log))
    plan, frames, problems = read(write_bag(tmp_path / "bag", messages))
    assert plan.episodes == ("bag/0", "bag/1", "bag/2")
    assert [frame.observation.stamp for frame in frames] == [START] * 3
    assert not problems


def test_frames_after_a_clock_that_was_set_back_are_left_out_until_it_has_caught_up(tmp_path):
    messages = []
    for logged, header in enumerate([0, 1, 2, 0, 1, 3]):
        messages += images("front", [START + header * STEP], (logged - header) * STEP)
    _, frames, problems = read(write_bag(tmp_path / "bag", messages), cameras=("front",))
    assert [(frame.observation.stamp - START) // STEP for frame in frames] == [0, 1, 2, 3]
    assert [frame.frame for frame in frames] == [0, 1, 2, 5]
    assert problems == {NOT_AFTER: 2}


@pytest.mark.parametrize("kind", ["wait", "hold"])
def test_seconds_count_on_the_clock_of_the_images_not_of_the_log(tmp_path, kind):
    headers = milliseconds(0, 100, 200)
    messages = in_order(images("front", headers, WALL), images("wrist", [each + 7 for each in headers], WALL))
    plan, frames, _ = read(write_bag(tmp_path / "bag", messages), 2, missing_camera=kind)
    assert [segment.origin for segment in plan.segments] == [START, START]
    assert [segment.start for segment in plan.segments] == [START + WALL, START + 200 * MILLISECOND + WALL]
    assert [frame.observation.stamp - START for frame in frames] == [
        7,
        100 * MILLISECOND + 7,
        200 * MILLISECOND + 7,
    ]


@pytest.mark.parametrize("time", [Time(sec=0, nanosec=0), Time(sec=-1, nanosec=0)])
def test_seconds_count_from_the_log_where_the_first_image_has_no_good_stamp(tmp_path, time):
    messages = in_order(*(images(camera, milliseconds(0, 100)) for camera in ("front", "wrist")))
    first = next(message for topic, message, _ in messages if topic.startswith("/front"))
    object.__setattr__(first.header, "stamp", time)
    plan, _, _ = read(write_bag(tmp_path / "bag", messages))
    assert plan.segments[0].origin == START
