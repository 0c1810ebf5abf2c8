import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_iss_ros.analysis.bootstrap import mean_interval


def rng(seed=0):
    return np.random.default_rng(seed)


def test_two_values_drawn_singly_give_the_whole_range():
    # The mean of two draws from {0, 1} is 0, 1/2, 1 with probability 1/4, 1/2, 1/4: both 2.5 % quantiles are
    # ends.
    result = mean_interval([np.array([0.0, 1.0])], rng(), block=1)
    assert (result.value, result.low, result.high, result.count) == (0.5, 0.0, 1.0, 2)


def test_blocks_of_two_from_three_values():
    # Blocks {0, 1}, {1, 5} and, around the end, {5, 0}. A series of three is one block and the first value of
    # another: nine sums that are equally likely, from 0 + 1 + 0 to 1 + 5 + 5.
    result = mean_interval([np.array([0.0, 1.0, 5.0])], rng(), block=2)
    assert result.value == 2.0
    assert result.low == pytest.approx(1 / 3)
    assert result.high == pytest.approx(11 / 3)


def test_ends_of_a_segment_are_drawn_as_often_as_its_middle():
    # Without the circle the ends would be in one block each and the interval would lie below the mean.
    values = np.array([10.0, 0.0, 0.0, 0.0, 0.0, 10.0])
    result = mean_interval([values], rng(), block=3)
    assert result.low < result.value - 1 < result.value + 1 < result.high


def test_blocks_do_not_reach_over_the_end_of_a_segment():
    # Within the segments every block of two has mean 1; the block {2, 2} across them does not exist.
    result = mean_interval([np.array([0.0, 2.0]), np.array([2.0, 0.0])], rng(), block=2)
    assert (result.low, result.high) == (1.0, 1.0)


def test_coverage_of_independent_values_is_near_the_level():
    generator = rng(1)
    hits = 0
    for _ in range(200):
        result = mean_interval([generator.normal(size=60)], generator, block=1, draws=400)
        hits += result.low <= 0 <= result.high
    assert 0.88 <= hits / 200 <= 0.99


def test_neighbours_that_resemble_each_other_widen_the_interval():
    walk = np.repeat(rng(2).normal(size=20), 10)
    single, blocks = (mean_interval([walk], rng(), block=size) for size in (1, 20))
    assert blocks.high - blocks.low > 1.5 * (single.high - single.low)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_segments_of_any_number_are_the_same_mean(count):
    values = np.arange(12.0)
    assert mean_interval(np.array_split(values, count), rng()).value == 5.5


@given(st.lists(st.floats(0, 1), min_size=3, max_size=30), st.integers(0, 100))
def test_interval_is_seeded_and_lies_within_the_values(values, seed):
    first, second = (mean_interval([np.array(values)], rng(seed), draws=50) for _ in range(2))
    assert first == second
    assert min(values) - 1e-12 <= first.low <= first.high <= max(values) + 1e-12


def test_nan_is_left_out_of_the_mean():
    result = mean_interval([np.array([math.nan, 1.0, 3.0, math.nan])], rng(), block=1)
    assert (result.value, result.count) == (2.0, 2)
    assert 1.0 <= result.low <= result.high <= 3.0


@pytest.mark.parametrize("segments", [[], [np.array([])], [np.array([math.nan, math.nan])]])
def test_nothing_defined_is_nan_with_a_reason(segments):
    result = mean_interval(segments, rng())
    assert math.isnan(result.value)
    assert result.reason == "no defined value"


def test_single_frame_has_a_mean_but_no_interval():
    result = mean_interval([np.array([0.4])], rng())
    assert result.value == 0.4
    assert math.isnan(result.low)
    assert result.reason == "fewer than two blocks of 1 frames"


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="block must be at least 1, got 0"):
        mean_interval([np.ones(3)], rng(), block=0)
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\), got 95"):
        mean_interval([np.ones(3)], rng(), level=95)
