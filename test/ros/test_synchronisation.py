# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One suite for both implementations of the matching rule."""

import math
from types import SimpleNamespace

import pytest
from harness import SECOND

from vla_iss_ros.ros import synchronisation
from vla_iss_ros.ros.synchronisation import (
    SILENT_SECONDS,
    ClosestSet,
    MessageFiltersMatcher,
    OwnMatcher,
    Synchroniser,
)

MS = 1_000_000
needs_message_filters = pytest.mark.skipif(
    synchronisation.message_filters is None,
    reason="message_filters is not importable: it comes with a ROS installation, not from PyPI",
)


@pytest.fixture(params=[OwnMatcher, pytest.param(MessageFiltersMatcher, marks=needs_message_filters)])
def matcher(request):
    return request.param


class Recorder:
    """A synchroniser, what came out of it, and messages with header stamps."""

    def __init__(self, matcher, names=("front", "wrist"), slop=0.05, missing_after=None):
        self.sets, self.jumps = [], []
        self.synchroniser = Synchroniser(
            names,
            slop,
            lambda messages, stamps: self.sets.append((messages, stamps)),
            self.jumps.append,
            matcher,
            missing_after,
        )

    def add(self, name, stamp):
        from builtin_interfaces.msg import Time

        seconds, nanoseconds = divmod(stamp, SECOND)
        header = SimpleNamespace(stamp=Time(sec=seconds, nanosec=nanoseconds))
        self.synchroniser.add(name, stamp, SimpleNamespace(header=header, name=name))

    @property
    def stamps(self):
        return [tuple(stamps.values()) for _, stamps in self.sets]


def test_equal_stamps_make_a_set_in_either_order(matcher):
    recorder = Recorder(matcher)
    for name, stamp in (("front", 10), ("wrist", 10), ("wrist", 20), ("front", 20)):
        recorder.add(name, stamp)
    assert recorder.stamps == [(10, 10), (20, 20)]
    messages, _ = recorder.sets[0]
    assert {name: message.name for name, message in messages.items()} == {"front": "front", "wrist": "wrist"}


def test_one_camera_needs_no_other(matcher):
    recorder = Recorder(matcher, names=("front",))
    recorder.add("front", 10)
    recorder.add("front", 20)
    assert recorder.stamps == [(10,), (20,)]


def test_stamps_within_the_slop_match_and_beyond_it_do_not(matcher):
    recorder = Recorder(matcher)
    recorder.add("front", 1000 * MS)
    recorder.add("wrist", 1050 * MS)
    assert recorder.stamps == [(1000 * MS, 1050 * MS)]
    recorder.add("front", 2000 * MS)
    recorder.add("wrist", 2051 * MS)
    assert len(recorder.stamps) == 1


def test_a_slop_of_zero_matches_equal_stamps_only(matcher):
    recorder = Recorder(matcher, slop=0.0)
    recorder.add("front", 10)
    recorder.add("wrist", 11)
    recorder.add("wrist", 12)
    assert recorder.stamps == []
    recorder.add("front", 12)
    assert recorder.stamps == [(12, 12)]


def test_every_pair_of_three_cameras_must_be_within_the_slop(matcher):
    recorder = Recorder(matcher, names=("a", "b", "c"))
    recorder.add("a", 960 * MS)
    recorder.add("c", 1040 * MS)
    recorder.add("b", 1000 * MS)
    assert recorder.stamps == []
    recorder.add("a", 1000 * MS)
    assert recorder.stamps == [(1000 * MS, 1000 * MS, 1040 * MS)]


def test_the_nearest_message_is_taken(matcher):
    recorder = Recorder(matcher)
    for stamp in (960 * MS, 990 * MS, 1030 * MS):
        recorder.add("front", stamp)
    recorder.add("wrist", 1000 * MS)
    assert recorder.stamps == [(990 * MS, 1000 * MS)]


def test_an_older_set_never_follows_a_newer_one(matcher):
    recorder = Recorder(matcher)
    recorder.add("front", 1000 * MS)
    recorder.add("front", 1100 * MS)
    recorder.add("wrist", 1100 * MS)
    recorder.add("wrist", 1100 * MS + 1)
    assert recorder.stamps == [(1100 * MS, 1100 * MS)]


def test_a_camera_that_stops_holds_up_sets_and_one_that_returns_brings_them_back(matcher):
    recorder = Recorder(matcher)
    for step in range(1, 50):
        recorder.add("front", step * 100 * MS)
    assert recorder.stamps == []
    recorder.add("wrist", 4900 * MS)
    assert recorder.stamps == [(4900 * MS, 4900 * MS)]


def test_stamps_that_go_back_are_followed_and_reported(matcher):
    recorder = Recorder(matcher)
    for stamp in (50 * SECOND, 51 * SECOND, 10 * SECOND, 11 * SECOND):
        recorder.add("front", stamp)
        recorder.add("wrist", stamp)
    assert recorder.stamps == [(each * SECOND,) * 2 for each in (50, 51, 10, 11)]
    assert recorder.jumps[0] == 41.0
    assert recorder.synchroniser.stepped_back == 2


def test_a_waiting_message_from_the_future_does_not_survive_a_jump_back(matcher):
    recorder = Recorder(matcher)
    recorder.add("front", 50 * SECOND)
    recorder.add("front", 10 * SECOND)
    recorder.add("wrist", 50 * SECOND)
    assert recorder.stamps == []
    recorder.add("wrist", 10 * SECOND)
    assert recorder.stamps == [(10 * SECOND, 10 * SECOND)]


def test_zero_and_equal_stamps_match_each_time(matcher):
    recorder = Recorder(matcher)
    for _ in range(3):
        recorder.add("front", 0)
        recorder.add("wrist", 0)
    assert recorder.stamps == [(0, 0)] * 3


def test_the_last_message_stands_in_for_a_camera_that_stopped_until_it_returns(matcher):
    recorder = Recorder(matcher, missing_after=0.5)
    for step in range(1, 11):
        recorder.add("front", step * 100 * MS)
        if step in (1, 2, 9, 10):
            recorder.add("wrist", step * 100 * MS)
    matched = [(100 * MS,) * 2, (200 * MS,) * 2]
    returned = [(900 * MS,) * 2, (1000 * MS,) * 2]
    assert recorder.stamps == [*matched, (800 * MS, 200 * MS), *returned]
    messages, _ = recorder.sets[2]
    assert messages["wrist"] is recorder.sets[1][0]["wrist"]


def test_all_cameras_that_are_there_must_match_before_another_is_stood_in_for(matcher):
    recorder = Recorder(matcher, names=("a", "b", "c"), missing_after=0.5)
    for name in ("a", "b", "c"):
        recorder.add(name, SECOND)
    recorder.add("a", 2 * SECOND)
    assert recorder.stamps == [(SECOND,) * 3]
    recorder.add("b", 2 * SECOND + 10 * MS)
    assert recorder.stamps == [(SECOND,) * 3]
    recorder.add("a", 2 * SECOND + 100 * MS)
    assert recorder.stamps == [(SECOND,) * 3, (2 * SECOND, 2 * SECOND + 10 * MS, SECOND)]


def test_nothing_stands_in_for_a_camera_that_never_came(matcher):
    recorder = Recorder(matcher, missing_after=0.5)
    for step in range(1, 30):
        recorder.add("front", step * 100 * MS)
    assert recorder.stamps == []


def test_the_closest_set_names_the_two_stamps_that_lie_furthest_apart(matcher):
    recorder = Recorder(matcher, names=("a", "b", "c"))
    recorder.add("c", 960 * MS)
    recorder.add("b", 1000 * MS)
    assert math.isnan(recorder.synchroniser.closest.seconds)
    recorder.add("a", 1040 * MS)
    # Each lies within the slop of a neighbour, and no set of all three does.
    assert recorder.synchroniser.closest == ClosestSet(0.08, ("a", "c"))
    recorder.add("c", 1060 * MS)
    assert recorder.synchroniser.closest == ClosestSet(0.06, ("b", "c"))
    # Between two messages of c the others come further away from it.
    recorder.add("b", 2000 * MS)
    assert recorder.synchroniser.closest == ClosestSet(0.06, ("b", "c"))


def test_the_closest_set_is_of_the_newest_messages_and_not_of_another_time(matcher):
    recorder = Recorder(matcher)
    for seconds in (1, 2, 3):
        recorder.add("front", seconds * SECOND)
        recorder.add("wrist", seconds * SECOND + 60 * MS)
    assert recorder.synchroniser.closest == ClosestSet(0.06, ("front", "wrist"))
    recorder.add("front", 1 * SECOND)
    recorder.add("wrist", 500 * MS)
    assert math.isnan(recorder.synchroniser.closest.seconds)
    recorder.add("front", 1 * SECOND)
    assert recorder.synchroniser.closest == ClosestSet(0.5, ("front", "wrist"))


class Clock:
    """A monotonic clock that is set by hand."""

    now = 1000.0

    def monotonic(self):
        return self.now


def test_waiting_for_a_set_begins_with_the_last_set_or_a_topic_that_returns(matcher, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(synchronisation, "time", clock)
    recorder = Recorder(matcher)
    synchroniser = recorder.synchroniser

    def both(seconds, apart=60 * MS):
        clock.now = 1000.0 + seconds
        recorder.add("front", seconds * SECOND)
        recorder.add("wrist", seconds * SECOND + apart)
        return synchroniser.waited

    assert math.isnan(synchroniser.waited)
    recorder.add("front", 1)
    assert math.isnan(synchroniser.waited)
    assert [both(seconds) for seconds in (1, 3, 5, 7)] == [0.0, 2.0, 4.0, 6.0]
    assert math.isnan(synchroniser.completed_at)
    assert both(8, apart=0) == 0.0
    assert synchroniser.completed_at == 1008.0
    assert [both(seconds) for seconds in (11, 14)] == [3.0, 6.0]
    clock.now += SILENT_SECONDS + 1
    assert math.isnan(synchroniser.waited)
    assert both(20) == 0.0
    assert both(24) == 4.0
