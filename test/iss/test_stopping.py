# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math
import time

import pytest

from vla_iss_ros.iss.stopping import NMR_INTERVAL, TIME_BUDGET, StoppingRule


def never():
    raise AssertionError("the interval was looked at")


def test_without_budget_and_width_nothing_stops_and_nothing_is_looked_at():
    rule = StoppingRule(1024, 32, math.inf, 0.0)
    assert [rule.reason(done, never) for done in (32, 64, 512)] == ["", "", ""]
    assert rule.stretch == pytest.approx(1.0)


def test_a_passed_deadline_stops():
    assert StoppingRule(128, 32, time.perf_counter() - 1, 0.0).reason(32, never) == TIME_BUDGET


def test_the_interval_is_looked_at_after_doublings_only():
    rule, looks = StoppingRule(256, 32, math.inf, 0.1), []

    def wide(done):
        return lambda: looks.append(done) or 0.3

    for done in range(32, 256, 32):
        assert rule.reason(done, wide(done)) == ""
    assert looks == [32, 64, 128]


def test_a_block_that_passes_several_looks_is_one():
    rule, looks = StoppingRule(1024, 32, math.inf, 0.1), []
    rule.reason(300, lambda: looks.append(300) or 0.3)
    rule.reason(400, lambda: looks.append(400) or 0.3)
    rule.reason(600, lambda: looks.append(600) or 0.3)
    assert looks == [300, 600]


def test_narrow_enough_stops_and_unknown_does_not():
    assert StoppingRule(128, 32, math.inf, 0.1).reason(32, lambda: 0.1) == NMR_INTERVAL
    assert StoppingRule(128, 32, math.inf, 0.1).reason(32, lambda: 0.11) == ""
    assert StoppingRule(128, 32, math.inf, 0.1).reason(32, lambda: math.nan) == ""


def test_every_look_pays_for_all_of_them():
    """N = 128 in blocks of 32: looks at 32 and 64, and the end, share 5 %: 2.394 / 1.960."""
    assert StoppingRule(128, 32, math.inf, 0.1).stretch == pytest.approx(2.39398 / 1.95996, rel=1e-4)


def test_a_frame_of_one_block_has_nothing_to_look_at():
    rule = StoppingRule(32, 32, math.inf, 0.1)
    assert rule.stretch == pytest.approx(1.0)
    assert rule.reason(32, never) == ""
