# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.ros import faults as module
from vla_iss_ros.ros.faults import QUIET, Faults


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def lines():
    return []


@pytest.fixture
def faults(lines, clock):
    return Faults(SimpleNamespace(warning=lines.append, error=lambda line: lines.append(f"ERROR {line}")))


def test_bad_messages_are_counted_by_source_and_reason(faults):
    for source, reason in (
        ("camera front", "truncated"),
        ("camera front", "truncated"),
        ("instruction", "too long"),
    ):
        faults.bad_message(source, MessageError(reason, "text"))
    assert faults.counts() == {"camera front: truncated": 2, "instruction: too long": 1}


def test_a_flood_is_one_line_and_then_one_with_the_number_held_back(faults, lines, clock):
    for _ in range(1000):
        faults.bad_message("camera front", MessageError("truncated", "3 bytes"))
    assert lines == ["bad message on camera front: 3 bytes"]
    clock.now += QUIET
    faults.bad_message("camera front", MessageError("truncated", "3 bytes"))
    assert lines[1:] == ["bad message on camera front: 3 bytes (999 more of these since the last line)"]


def test_other_reasons_and_errors_have_lines_of_their_own(faults, lines):
    faults.bad_message("camera front", MessageError("truncated", "3 bytes"))
    faults.bad_message("camera front", MessageError("zero size", "nothing"))
    faults.log("policy", "it raised", error=True)
    assert lines == [
        "bad message on camera front: 3 bytes",
        "bad message on camera front: nothing",
        "ERROR it raised",
    ]


def test_the_last_bad_message_is_recent_for_a_while(faults, clock):
    assert faults.recent(5.0) == ""
    faults.bad_message("camera front", MessageError("truncated", "3 bytes"))
    assert faults.recent(5.0) == "bad message on camera front: 3 bytes"
    clock.now += 5.0
    assert faults.recent(5.0) == ""
