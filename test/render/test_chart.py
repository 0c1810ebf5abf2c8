# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from vla_iss_ros.render.chart import CHANCE, LINE, draw_chart


def coloured(chart, colour):
    return (np.abs(chart.astype(int) - colour).sum(axis=2) < 12)[30:-45]  # between the two lines of text


def columns(chart, colour):
    return np.flatnonzero(coloured(chart, colour).any(axis=0))


def series(values, low=math.nan, high=math.nan):
    return [(float(second), value, low, high) for second, value in enumerate(values)]


def test_size_and_type():
    chart = draw_chart(series([0.5] * 10), 0.3, size=(500, 200))
    assert chart.shape == (200, 500, 3)
    assert chart.dtype == np.uint8


def test_line_is_higher_for_a_higher_value():
    rows = [
        np.flatnonzero(coloured(draw_chart(series([value] * 60), math.nan), LINE).any(axis=1)).mean()
        for value in (0.1, 0.5, 0.9)
    ]
    assert rows[0] > rows[1] > rows[2]
    assert rows[0] - rows[1] == pytest.approx(rows[1] - rows[2], abs=1)


def test_nan_leaves_a_gap():
    whole = columns(draw_chart(series([0.6] * 61), math.nan, span=60), LINE)
    broken = columns(draw_chart(series([0.6] * 25 + [math.nan] * 10 + [0.6] * 26), math.nan, span=60), LINE)
    assert np.diff(whole).max() == 1
    assert np.diff(broken).max() > 60  # eleven of sixty seconds of about 580 px


def test_lone_value_between_gaps_is_seen():
    chart = draw_chart(series([math.nan] * 30 + [0.6] + [math.nan] * 30), math.nan, span=60)
    assert 2 <= len(columns(chart, LINE)) <= 6


def test_chance_is_drawn_only_where_known():
    assert len(columns(draw_chart(series([0.9] * 5), 0.3), CHANCE)) > 200
    assert len(columns(draw_chart(series([0.9] * 5), math.nan), CHANCE)) == 0


def test_band_lies_around_the_line():
    chart = draw_chart(series([0.5] * 61, 0.4, 0.6), math.nan, span=60)
    bare = draw_chart(series([0.5] * 61), math.nan, span=60)
    rows = np.flatnonzero((chart != bare)[30:-45, 300].any(axis=1))
    line = np.flatnonzero(coloured(bare, LINE)[:, 300]).mean()
    assert rows.min() < line < rows.max()
    assert line - rows.min() == pytest.approx(rows.max() - line, abs=2)


def test_points_before_the_span_are_left_out():
    old = [(0.0, 0.9, math.nan, math.nan)] + [
        (second, 0.2, math.nan, math.nan) for second in (1000.0, 1001.0)
    ]
    assert np.array_equal(draw_chart(old, 0.3, span=60), draw_chart(old[1:], 0.3, span=60))


@pytest.mark.parametrize("empty", [[], series([math.nan] * 5)])
def test_nothing_defined_draws_axes_without_a_line(empty):
    assert len(columns(draw_chart(empty, math.nan, state="no regions"), LINE)) == 0


def test_too_small_a_size_is_refused():
    with pytest.raises(ValueError, match="at least 160 x 90, got 100 x 80"):
        draw_chart([], 0.3, size=(100, 80))


def test_short_series_fills_the_chart():
    assert columns(draw_chart(series([0.6] * 10), math.nan, span=120), LINE)[0] < 120
    assert columns(draw_chart(series([0.6] * 10), math.nan, span=120, elapsed=True), LINE)[0] > 400
