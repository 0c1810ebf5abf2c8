# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stamps as nanoseconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from message_factory import Time

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.stamps import nanoseconds_from_stamp, stamp_from_nanoseconds


def test_by_hand():
    assert nanoseconds_from_stamp(Time(sec=3, nanosec=5)) == 3_000_000_005


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_there_and_back(nanoseconds):
    assert nanoseconds_from_stamp(stamp_from_nanoseconds(nanoseconds, Time)) == nanoseconds


@pytest.mark.parametrize("nanoseconds", [-1, 2**31 * 10**9])
def test_what_the_message_cannot_hold_is_refused(nanoseconds):
    with pytest.raises(ValueError, match=f"stamp must be in .* got {nanoseconds} ns"):
        stamp_from_nanoseconds(nanoseconds, Time)


@pytest.mark.parametrize(("seconds", "nanoseconds"), [(-1, 0), (0, 10**9), (0, -1)])
def test_bad_stamps_are_refused(seconds, nanoseconds):
    with pytest.raises(MessageError, match=f"got {seconds} and {nanoseconds}"):
        nanoseconds_from_stamp(Time(sec=seconds, nanosec=nanoseconds))


def test_rclpy_time():
    messages = pytest.importorskip("builtin_interfaces.msg")
    stamp = stamp_from_nanoseconds(12_000_000_034, messages.Time)
    assert (stamp.sec, stamp.nanosec) == (12, 34)
