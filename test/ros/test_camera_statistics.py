# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Images that did not come, told by the stamps of those that did."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from vla_iss_ros.ros.camera_statistics import STOPPED_AFTER, CameraStatistics
from vla_iss_ros.ros.connections import Connections

PERIOD = 33_000_000


def missing(*steps, jitter=()):
    statistics = CameraStatistics()
    shifts = [*jitter, *([0] * (len(steps) - len(jitter)))]
    for step, shift in zip(steps, shifts, strict=True):
        statistics.note_stamp(10**9 + step * PERIOD + shift)
    return statistics.missing


@given(st.lists(st.booleans(), max_size=60))
def test_as_many_are_missing_as_were_left_out(arrives):
    # Ten whole periods first, and then at least every fourth pair.
    steps = [*range(11)]
    for place, arrived in enumerate(arrives):
        if arrived or place % 4 < 2:
            steps.append(11 + place)
    steps.append(11 + len(arrives))
    assert missing(*steps) == steps[-1] + 1 - len(steps)


@given(st.lists(st.integers(-4_000_000, 4_000_000), min_size=40, max_size=40))
def test_jitter_is_no_loss(jitter):
    assert missing(*range(40), jitter=jitter) == 0


def test_equal_stamps_stamps_that_go_back_and_stamps_of_zero_tell_nothing():
    statistics = CameraStatistics()
    for stamp in (5, 5, 3, 0, 0, 7 * PERIOD, PERIOD):
        statistics.note_stamp(stamp)
    assert statistics.missing == 0


def test_a_camera_that_stopped_lost_nothing():
    assert missing(*range(10), 10 + STOPPED_AFTER + 1) == 0
    assert missing(*range(10), 9 + STOPPED_AFTER) == STOPPED_AFTER - 1


def test_few_images_are_no_share():
    statistics = CameraStatistics()
    for step in (0, 1, 2, 3, 4, 5, 6, 9):
        statistics.note_stamp(10**9 + step * PERIOD)
    assert (statistics.missing, statistics.missing_lately()) == (2, 0.0)


def test_what_the_middleware_lost_counts_where_stamps_tell_nothing():
    statistics = CameraStatistics()
    statistics.note_lost(10)
    assert statistics.lost_lately() == 0.0
    statistics.note_lost(10)
    assert (statistics.lost, statistics.lost_lately(), statistics.missing_lately()) == (20, 1.0, 1.0)


def test_the_middlewares_word_of_lost_images_reaches_the_count():
    options = {}
    node = SimpleNamespace(
        resolve_topic_name=lambda topic: topic,
        create_subscription=lambda *args, **given: options.update(given) or SimpleNamespace(),
    )
    statistics = CameraStatistics()
    connections = Connections(node, None, None)
    connections.listen(
        Image, "~/input/front/image", statistics.note, QoSProfile(depth=1), lost=statistics.note_lost
    )
    options["event_callbacks"].message_lost(SimpleNamespace(total_count=7, total_count_change=3))
    options["event_callbacks"].message_lost(SimpleNamespace(total_count=9, total_count_change=2))
    assert statistics.lost == 5
    connections.listen(Image, "~/input/front/regions", statistics.note, QoSProfile(depth=1))
    assert options["event_callbacks"].message_lost is None
