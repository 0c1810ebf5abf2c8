# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The executor of the nodes: every callback once, long ones beside short ones, no busy waiting."""

import threading
import time

import pytest
import rclpy
from harness import PATIENCE
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.context import Context

from vla_iss_ros.ros.executor import PoolExecutor


@pytest.fixture
def node(domain):
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    made = rclpy.create_node("spun", context=context)
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def executor(node, request):
    errors = []
    made = PoolExecutor(getattr(request, "param", 4), errors.append, context=node.context)
    made.errors = errors
    made.add_node(node)
    yield made
    made.shutdown(PATIENCE)


def spin_until(executor, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing came of it"
        executor.spin_once(0.01)


def trigger(node, callback):
    """Have ``callback`` called once, in a group of its own."""
    guard = node.create_guard_condition(callback, callback_group=MutuallyExclusiveCallbackGroup())
    guard.trigger()
    return guard


def test_a_long_callback_holds_no_other_up(node, executor):
    release, ended, short = threading.Event(), threading.Event(), threading.Event()

    def long():
        assert release.wait(PATIENCE)
        ended.set()

    trigger(node, long)
    executor.spin_once(PATIENCE)
    trigger(node, short.set)
    spin_until(executor, short.is_set)
    assert not ended.is_set()
    release.set()
    assert ended.wait(PATIENCE)


@pytest.mark.parametrize("executor", [1], indirect=True)
def test_a_callback_that_waits_for_a_thread_is_handed_over_once(node, executor, monkeypatch):
    submitted, release, calls = [], threading.Event(), []
    submit = executor._pool.submit
    monkeypatch.setattr(
        executor._pool, "submit", lambda run, task, ended: (submitted.append(task), submit(run, task, ended))
    )
    trigger(node, lambda: release.wait(PATIENCE))
    executor.spin_once(PATIENCE)
    # A timer: rclpy itself makes several calls of a guard condition whose callback waits.
    timer = node.create_timer(
        0.001, lambda: (timer.cancel(), calls.append(1)), callback_group=MutuallyExclusiveCallbackGroup()
    )
    for _ in range(20):
        executor.spin_once(0.01)
    assert 2 <= len(submitted) == len(set(submitted))
    assert not calls
    release.set()
    spin_until(executor, lambda: calls)
    for _ in range(3):
        executor.spin_once(0.01)
    assert calls == [1]


def test_what_a_callback_raises_is_told_and_ends_nothing(node, executor):
    called = threading.Event()

    def fail():
        raise ValueError("no such thing")

    trigger(node, fail)
    spin_until(executor, lambda: executor.errors)
    assert [str(error) for error in executor.errors] == ["no such thing"]
    trigger(node, called.set)
    spin_until(executor, called.is_set)


def test_nothing_ready_is_no_error(executor):
    executor.spin_once(0.01)
    assert executor.errors == []


def test_nothing_runs_after_the_shutdown(node, executor):
    calls = []
    assert executor.shutdown(PATIENCE)
    trigger(node, lambda: calls.append(1))
    executor.spin_once(0.01)
    assert not calls
