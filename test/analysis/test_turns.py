# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest

from vla_iss_ros.analysis.segment_work import Job, Task
from vla_iss_ros.analysis.turns import LAST, Turns
from vla_iss_ros.bags.source import Segment


def task(number, frames):
    segment = Segment("tiny", number, 0, "tiny/0", 0, 0, 1, frames)
    return Task(Job(None, {}), segment)


def numbers(turns):
    return [turns.take().segment.number for _ in range(len(turns))]


def test_they_come_in_order_and_the_last_ones_longest_first():
    frames = [1, 16, 2, 16, *([4, 16, 8, 2] * LAST)[: LAST * 2]]
    turns = Turns([task(*each) for each in enumerate(frames)], 2)
    first, last = range(4), sorted(range(4, len(frames)), key=lambda number: -frames[number])
    assert numbers(turns) == [*first, *last]
    with pytest.raises(IndexError, match="no task is left"):
        turns.take()


def test_what_is_given_back_comes_first():
    turns = Turns([task(number, 4) for number in range(20)], 1)
    taken = [turns.take() for _ in range(3)]
    turns.give_back(taken[1:])
    assert len(turns) == 19
    assert numbers(turns) == [*range(1, 20)]
