import math

import numpy as np
import pytest

from vla_iss_ros.analysis.frame_table import FrameRow, RatioFigures
from vla_iss_ros.analysis.ranking import rank


def rows(values, reason=""):
    return [
        FrameRow(
            "bag", "bag/0", place, place, 0.1 * place, "", True, "p", chance=0.5, reason=reason,
            ratios={10: RatioFigures(value)}, timings={"policy": 0.25},
        )
        for place, value in enumerate(values)
    ]  # fmt: skip


def test_the_lowest_comes_first_and_only_common_frames_count():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.2, 0.8, 60)
    better = base - 0.05
    better[3] = math.nan
    first, last = rank({"b": rows(base), "a": rows(better)}, 10, 0)
    assert (first.policy, last.policy) == ("a", "b")
    assert first.nmr.count == last.nmr.count == 59
    # The same on every frame: paired, the difference is certain, although the means overlap.
    assert first.difference.value == pytest.approx(0.05)
    assert first.difference.low == pytest.approx(0.05)
    assert first.below == 1
    assert first.nmr.high > last.nmr.low
    assert math.isnan(last.below)
    assert first.seconds == 0.25


def test_equal_policies_are_a_toss_up():
    values = np.random.default_rng(1).uniform(0, 1, 40)
    first, _ = rank({"a": rows(values), "b": rows(values)}, 10, 0)
    assert first.below == 0.5


def test_without_common_frames_it_says_why():
    with pytest.raises(ValueError, match="under every policy: no regions: none"):
        rank({"a": rows([math.nan], "no regions: none"), "b": rows([0.5])}, 10, 0)
