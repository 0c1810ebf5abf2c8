# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from large_tables import peak_below

from vla_iss_ros.analysis.bootstrap import DrawnMeans, interval_note, mean_interval


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


def episodes_of(generator, repetitions, episodes, frames, likeness, between):
    """Return episodes whose frames follow an AR(1) of deviation 1 around a mean of their own, [repetitions, ...]."""
    noise = generator.normal(size=(repetitions, episodes, frames))
    series = np.empty_like(noise)
    series[..., 0] = noise[..., 0]
    for frame in range(1, frames):
        series[..., frame] = (
            likeness * series[..., frame - 1] + math.sqrt(1 - likeness**2) * noise[..., frame]
        )
    return series + between * generator.normal(size=(repetitions, episodes, 1))


def coverage(series, generator):
    found = [mean_interval(list(each), generator, draws=400) for each in series]
    return sum(each.low <= 0 <= each.high for each in found) / len(found)


@pytest.mark.parametrize(
    ("likeness", "between"),
    [(0.9, 0.7), (0.9, 0.0), (0.5, 1.0), (0.0, 3.0)],
    ids=["alike within and apart", "alike within", "apart", "episodes alone"],
)
def test_coverage_over_episodes_is_near_the_level(likeness, between):
    # Where the spread of 12 episodes is all there is, a percentile interval covers 91 %: it is 1.96 standard errors
    # wide where 11 degrees of freedom want 2.20 sqrt(12 / 11). Where frames alone vary, their noise counts twice.
    generator = rng(5)
    assert 0.90 <= coverage(episodes_of(generator, 600, 12, 60, likeness, between), generator) <= 0.98


@pytest.mark.parametrize(("episodes", "covered"), [(2, 0.65), (4, 0.82), (8, 0.89)])
def test_few_episodes_cover_less_as_the_documentation_says(episodes, covered):
    generator = rng(7)
    found = coverage(episodes_of(generator, 600, episodes, 60, 0.9, 0.7), generator)
    assert found == pytest.approx(covered, abs=0.04)


def test_noise_within_episodes_that_do_not_differ_counts_twice():
    values = rng(3).normal(size=(200, 50))
    found = mean_interval(list(values), rng())
    once = 2 * 1.96 * values.std() / math.sqrt(values.size)
    assert 1.2 * once < found.high - found.low < 1.5 * once


def test_episodes_are_drawn_as_well():
    # Within the episodes nothing varies: the mean of two draws from {0, 1} is 0, 1/2 or 1.
    result = mean_interval([np.zeros(30), np.ones(30)], rng())
    assert (result.value, result.low, result.high, result.episodes) == (0.5, 0.0, 1.0, 2)


def test_an_episode_without_a_value_is_none():
    segments = [np.array([0.0, 2.0, 4.0, 2.0]), np.full(7, math.nan)]
    with_it, without = (mean_interval(some, rng()) for some in (segments, segments[:1]))
    assert with_it == without
    assert with_it.episodes == 1


def test_a_single_defined_value_among_many_has_no_interval():
    result = mean_interval([np.array([math.nan, 0.3, math.nan, math.nan])], rng())
    assert result.value == 0.3
    assert math.isnan(result.low)
    assert result.reason == "a single defined value"


def test_quantities_over_the_same_frames_are_paired():
    base = rng(4).normal(size=(5, 40))
    pairs = [np.stack([each, each + 0.5], axis=1) for each in base]
    drawn = DrawnMeans.of(pairs, rng())
    apart = drawn.difference(1, 0)
    assert apart.value == pytest.approx(0.5)
    assert (apart.low, apart.high) == (pytest.approx(0.5), pytest.approx(0.5))
    assert drawn.above(1, 0) == 1
    assert drawn.above(1, 1) == 0.5
    assert drawn.interval(0).low < 0 < drawn.interval(0).high + 0.5


def test_gaps_are_left_out_as_if_they_were_drawn_and_empty():
    # Blocks of one: each draw is the mean of what it hits, of 0, 3 and nothing.
    result = mean_interval([np.array([0.0, math.nan, 3.0])] * 2, rng(), block=1)
    assert (result.value, result.count, result.low, result.high) == (1.5, 4, 0.0, 3.0)


def test_a_long_series_is_drawn_in_little_memory():
    values = rng(6).normal(size=626_250)
    with peak_below(90):
        result = mean_interval([values], rng(), draws=200)
    assert result.high - result.low == pytest.approx(2 * 1.96 / math.sqrt(len(values)), rel=0.25)


def test_the_note_says_what_is_not_in_the_interval():
    assert "how much another episode would differ is not in them" in interval_note(1)
    assert "how much another episode would differ is not in them" in interval_note(30, 1)
    assert "Of 3 episodes they are too narrow" in interval_note(3)
    assert "too narrow" not in interval_note(12)
    assert all("drift of a noisy map" in interval_note(number) for number in (1, 3, 12))
