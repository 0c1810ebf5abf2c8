# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The slot and the worker, with threads and conditions alone."""

import itertools
import threading
import time

import pytest
import torch
from harness import PATIENCE

from vla_iss_ros.ros.worker import (
    BadMessageError,
    LatestSlot,
    NotReadyError,
    Progress,
    Worker,
    one_line,
)


@pytest.fixture
def start():
    """Return a function that starts a worker; it is stopped at the end."""
    workers = []

    def make(work, period=lambda: 0.0, rest=lambda busy: 0.0):
        slot, problems, progress = LatestSlot(), [], Progress()
        worker = Worker(slot, work, period, rest, lambda error, line: problems.append(line), progress)
        worker.start()
        workers.append(worker)
        return slot, worker, problems

    yield make
    for worker in workers:
        worker.stop(PATIENCE)


def test_the_slot_keeps_the_newest_and_counts_what_it_dropped():
    slot = LatestSlot()
    for item in (1, 2, 3):
        slot.put(item)
    assert slot.take(0) == 3
    assert slot.take(0) is None
    assert (slot.received, slot.dropped) == (3, 2)


def test_the_slot_can_be_cleared():
    slot = LatestSlot()
    slot.put(1)
    slot.clear()
    assert slot.take(0) is None


def test_what_arrives_during_work_is_replaced_not_queued(start):
    busy, go, seen = threading.Event(), threading.Event(), []

    def work(item, check):
        seen.append(item)
        busy.set()
        assert go.wait(PATIENCE)
        if item == 9:
            done.set()

    done = threading.Event()
    slot, _, _ = start(work)
    slot.put(0)
    assert busy.wait(PATIENCE)
    for item in range(1, 10):
        slot.put(item)
    go.set()
    assert done.wait(PATIENCE)
    assert seen == [0, 9]
    assert slot.dropped == 8


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ValueError("policy returned 3 actions that are not finite"),
            "policy returned 3 actions that are not finite",
        ),
        (KeyError("weights"), "KeyError: 'weights'"),
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to allocate"),
            "OutOfMemoryError: CUDA out of memory. Tried to allocate",
        ),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_exceptions_are_counted_and_the_next_item_is_worked_on(start, error, line):
    done = threading.Event()

    def work(item, check):
        if item == "bad":
            failed.set()
            raise error
        done.set()

    failed = threading.Event()
    slot, worker, problems = start(work)
    slot.put("bad")
    assert failed.wait(PATIENCE)
    slot.put("good")
    assert done.wait(PATIENCE)
    worker.stop(PATIENCE)
    assert problems == [line]
    assert (worker.progress.failed, worker.progress.done) == (1, 1)
    assert worker.progress.problem == ""


@pytest.mark.parametrize("kind", [NotReadyError, BadMessageError])
def test_an_item_that_is_not_ready_is_no_failure(start, kind):
    tried = threading.Event()

    def work(item, check):
        tried.set()
        raise kind("no joint states yet")

    slot, worker, _ = start(work)
    slot.put(1)
    assert tried.wait(PATIENCE)
    worker.stop(PATIENCE)
    assert (worker.progress.skipped, worker.progress.failed) == (1, 0)
    assert (worker.progress.problem, worker.progress.broken) == ("no joint states yet", False)


@pytest.mark.parametrize("which", ["period", "rest"])
def test_a_pause_that_becomes_shorter_ends_at_once(start, which):
    pause, seen, second = {which: 1e6}, [], threading.Event()

    def work(item, check):
        seen.append(item)
        if len(seen) == 2:
            second.set()

    slot, worker, _ = start(work, lambda: pause.get("period", 0.0), lambda busy: pause.get("rest", 0.0))
    slot.put(1)
    while worker.progress.done < 1:
        assert not second.wait(0.01)
    slot.put(2)
    assert not second.wait(3 * Worker.POLL)
    pause.clear()
    assert second.wait(PATIENCE)
    assert seen == [1, 2]


def test_stop_ends_the_work_at_its_next_check(start):
    busy = threading.Event()

    def work(item, check):
        busy.set()
        while True:
            check()

    slot, worker, problems = start(work)
    slot.put(1)
    assert busy.wait(PATIENCE)
    assert worker.stop(PATIENCE)
    assert problems == []


def test_stop_tells_of_work_that_does_not_end(start):
    busy, go = threading.Event(), threading.Event()

    def work(item, check):
        busy.set()
        go.wait(PATIENCE)

    slot, worker, _ = start(work)
    slot.put(1)
    assert busy.wait(PATIENCE)
    assert not worker.stop(0.01)
    go.set()
    assert worker.stop(PATIENCE)


def test_the_rate_is_asked_anew_and_stop_does_not_wait_for_it(start):
    asked = threading.Event()

    def period():
        asked.set()
        return 1e6

    slot, worker, _ = start(lambda item, check: None, period)
    slot.put(1)
    assert asked.wait(PATIENCE)
    slot.put(2)
    assert worker.stop(PATIENCE)
    assert worker.progress.done == 1


def test_one_line_is_one_line_and_not_endless():
    assert one_line(ValueError("a\n  b")) == "a b"
    assert len(one_line(ValueError("x" * 10_000))) == 400


def test_after_work_it_rests_as_long_as_it_is_told(start):
    asked, seen, third = [], [], threading.Event()

    def work(item, check):
        seen.append(time.monotonic())
        if len(seen) == 3:
            third.set()

    def rest(busy):
        asked.append(busy)
        return 0.2

    slot, _, _ = start(work, rest=rest)
    while not third.wait(0.01):
        slot.put(0)
    assert all(later - earlier >= 0.2 for earlier, later in itertools.pairwise(seen))
    assert all(0 <= busy < PATIENCE for busy in asked)
