# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
from checked_policy import CheckedPolicy, see

from vla_iss_ros.analysis.policy_subject import Subject
from vla_iss_ros.analysis.policy_use import check_sensitivity, check_time


class Clock:
    """Stands still but for what ``Timed`` adds."""

    now = 0.0

    def __call__(self):
        return self.now


class Timed(CheckedPolicy):
    def __init__(self, clock, seconds):
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def act(self, views, base, noise):
        self.clock.now += self.seconds(len(views))
        return super().act(views, base, noise)


def timed(seconds):
    clock = Clock()
    return check_time(Subject(Timed(clock, seconds), [see()], 1e-3, clock))


def test_times_are_of_one_forward():
    check = timed(lambda rows: 0.01 + 0.0005 * rows)
    assert check.status == "pass"
    assert check.figure == "batch 1 10.5 ms, batch 64 42.0 ms, 1524 rows/s"
    assert check.values["rows_per_second"] == pytest.approx(64 / 0.042)


@pytest.mark.parametrize(("factor", "status"), [(1.9, "pass"), (2.1, "FAIL")])
def test_batches_must_pay(factor, status):
    assert timed(lambda rows: 0.01 if rows == 1 else 0.01 * rows * factor).status == status


def test_what_moves_the_action_is_told():
    class OnlyFront(CheckedPolicy):
        def act(self, views, base, noise):
            views = views.clone()
            views[:, 1] = 0
            inputs = {name: 0 * value for name, value in base.inputs.items()}
            return super().act(views, dataclasses.replace(base, inputs=inputs), noise)

    check = check_sensitivity(Subject(OnlyFront(), [see(0), see(1)], 1e-3, lambda: 0.0))
    assert check.status == "pass"
    assert check.values["front"] > 1e-4
    assert (check.values["wrist"], check.values["instruction"], check.values["state"]) == (0, 0, 0)
    assert check.values["everything"] == pytest.approx(check.values["front"], rel=1e-4)
    assert "wrist 0 (0.0%)" in check.figure


def test_what_cannot_be_measured_is_unknown():
    check = check_sensitivity(Subject(CheckedPolicy(), [see()], 1e-3, lambda: 0.0))
    assert "instruction unknown" in check.figure


def test_a_policy_that_heeds_nothing_fails():
    class Deaf(CheckedPolicy):
        def act(self, views, base, noise):
            return noise.expand(len(views), -1, -1)

    check = check_sensitivity(Subject(Deaf(), [see(0), see(1)], 1e-3, lambda: 0.0))
    assert check.status == "FAIL"
    assert "nothing moves the action" in check.remedy
