# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from toys import ToyPolicy, observe

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.pacing import FEWEST_ROWS, FIRST_ROWS, Pace


class Clock:
    """Time that passes only where it is told to."""

    def __init__(self):
        self.now, self.slept = 100.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def make(limit=0.0, gap=0.0):
    clock = Clock()
    return clock, Pace(limit, gap, lambda: clock.now, clock.sleep)


def test_without_limit_and_gap_nothing_is_watched():
    clock, pace = make()
    pace.wait()
    assert (pace.watches, pace.rows, clock.slept) == (False, None, [])


@pytest.mark.parametrize(
    ("ran", "seconds", "rows"),
    [
        (8, 0.016, 5),  # 2 ms a row: five rows in 10 ms
        (8, 0.001, 16),  # at most twice as many as were tried
        (8, 0.0, 16),
        (4, 0.08, FEWEST_ROWS),
    ],
)
def test_rows_follow_from_what_rows_took(ran, seconds, rows):
    _, pace = make(limit=0.010)
    assert pace.rows == FIRST_ROWS
    pace.note(ran, seconds)
    assert (pace.rows, pace.longest) == (rows, seconds)


def test_a_single_row_says_nothing_of_rows():
    _, pace = make(limit=0.010)
    pace.note(1, 0.5)
    assert (pace.rows, pace.longest) == (FIRST_ROWS, 0.5)


def test_the_gap_lasts_from_the_end_of_a_run():
    clock, pace = make(gap=0.005)
    pace.wait()  # there was no run yet
    pace.note(4, 0.020)
    clock.now += 0.002
    pace.wait()
    assert clock.slept == [pytest.approx(0.003)]
    pace.note(4, 0.020)
    clock.now += 0.010
    pace.wait()
    assert len(clock.slept) == 1
    assert pace.paused == pytest.approx(0.003)


def test_a_turn_keeps_the_gap_before_and_after_it():
    clock, pace = make(limit=0.010, gap=0.005)
    for _ in range(2):
        with pace.turn():
            clock.now += 0.020
    assert clock.slept == [pytest.approx(0.005)]
    assert (pace.longest, pace.rows) == (pytest.approx(0.020), FIRST_ROWS)
    pace.wait()
    assert len(clock.slept) == 2


def test_a_limit_changes_the_batches_and_not_the_map():
    maps, rows = [], []
    for limit in (0.0, 0.001, 5000.0):
        policy = ToyPolicy(lambda images: images.mean((2, 3, 4))[:, None, :])
        chosen = settings.check(
            {
                "samples": 64,
                "block_size": 16,
                "batch_size": 32,
                "grid": 2,
                "baseline": "mean_colour",
                "max_batch_ms": limit,
                "effects": False,
            }
        )
        explainer = Explainer(policy, chosen)
        maps.append(explainer.explain(observe(0)).estimate.contrast)
        rows.append(max(policy.batches))
        assert explainer.pace.watches == (limit > 0)
    assert rows[0] == 17
    assert rows[1] <= FIRST_ROWS
    assert explainer.batch_size > FIRST_ROWS
    torch.testing.assert_close(maps[1], maps[0], rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(maps[2], maps[0], rtol=1e-4, atol=1e-9)
