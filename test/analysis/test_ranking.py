# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from vla_iss_ros.analysis.frame_table import FrameRow, RatioFigures
from vla_iss_ros.analysis.ranking import draw_ranking, rank


def rows(values, reason="", stride=1, first=0):
    return [
        FrameRow(
            "bag", "bag/0", place, first + place, 0.1 * place, "", place % stride == 0, "p", chance=0.5, reason=reason,
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


def test_every_policy_is_compared_with_every_other_on_the_same_draws():
    base = np.random.default_rng(2).uniform(0.3, 0.5, 90)
    runs = {"b": base + 0.1, "c": base + 0.3, "a": base}
    ranked = rank({name: rows(values) for name, values in runs.items()}, 10, 0)
    assert [each.policy for each in ranked] == ["a", "b", "c"]
    first, second, last = ranked
    assert list(first.others) == ["b", "c"]
    apart = first.others["c"]
    assert [apart.difference.value, apart.difference.low, apart.difference.high] == pytest.approx([0.3] * 3)
    assert apart.below == 1
    assert last.others["a"].difference.value == pytest.approx(-0.3)
    assert last.others["a"].below == 0
    assert (second.difference, second.below) == (second.others["c"].difference, second.others["c"].below)
    assert draw_ranking(ranked, 10).startswith(b"\x89PNG")
    assert draw_ranking(ranked[:1], 10).startswith(b"\x89PNG")


def test_interpolated_frames_do_not_count():
    values = np.random.default_rng(3).uniform(0, 1, 60)
    (all_of_them,) = rank({"a": rows(values[::3])}, 10, 0)
    (strided,) = rank({"a": rows(values, stride=3)}, 10, 0)
    assert strided.nmr == all_of_them.nmr
    assert strided.nmr.count == 20


def test_frames_are_matched_by_stamp_in_any_order():
    values = np.random.default_rng(4).uniform(0, 1, 50)
    later = [each for each in reversed(rows(values[10:] + 1, first=10))]
    first, last = rank({"a": rows(values), "b": later}, 10, 0)
    assert first.nmr.count == 40
    assert first.difference.low == pytest.approx(1)
    assert last.nmr.value == pytest.approx(values[10:].mean() + 1)


def test_one_frame_is_a_mean_without_an_interval():
    first, _ = rank({"a": rows([0.2]), "b": rows([0.4])}, 10, 0)
    assert first.difference.value == pytest.approx(0.2)
    assert math.isnan(first.below)
    assert math.isnan(first.nmr.low)
