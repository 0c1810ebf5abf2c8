# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Figures of the report at any size, from columns made by hand."""

import dataclasses
import math
import re

import numpy as np
import pytest

from vla_iss_ros.analysis.bootstrap import mean_interval
from vla_iss_ros.analysis.frame_columns import EffectColumns, FrameColumns
from vla_iss_ros.analysis.report_figures import (
    episode_values,
    mean_chance,
    mean_effects,
    mean_ratio,
    timeline,
    worst_frames,
)


def columns(values, episodes=1, explained=None, **changes):
    values = np.asarray(values, np.float64)
    length = len(values)
    nothing = np.full(length, math.nan)
    made = FrameColumns(
        source=np.zeros(length, np.int32),
        episode=(np.arange(length) * episodes // length).astype(np.int32),
        stamp=np.arange(length),
        seconds=np.arange(length) * 2.0,
        explained=np.ones(length, bool) if explained is None else explained,
        value=values,
        low=values - 0.1,
        high=values + 0.1,
        chance=nothing,
        spent=nothing,
        sources=("bag",),
        episodes=tuple(("bag", f"bag/{number}") for number in range(episodes)),
        instructions=("",) * episodes,
    )
    return dataclasses.replace(made, **changes)


def count(svg, tag, name):
    return len(re.findall(f'<{tag} class="{name}"', svg))


def points(svg, name="nmr", tag="polyline"):
    """Return the (x, y) of every line of a class."""
    texts = re.findall(f'<{tag} class="{name}" points="([^"]*)"', svg)
    return [[tuple(map(float, each.split(","))) for each in text.split()] for text in texts]


@pytest.mark.parametrize("stride", [2, 5, 30])
def test_interpolated_frames_add_nothing_to_a_mean_and_its_interval(stride):
    values = np.random.default_rng(0).uniform(size=60)
    between = np.interp(np.arange(59 * stride + 1), np.arange(60) * stride, values)
    explained = np.arange(len(between)) % stride == 0
    chance = np.where(explained, 0.25, 0.75)
    found = columns(between, explained=explained, chance=chance)
    assert mean_ratio(found, 3) == mean_interval([values], np.random.default_rng(3))
    assert mean_chance(found) == 0.25
    assert next(episode_values(found)).frames == len(between)
    assert next(episode_values(found)).interval(3).count == 60


def test_an_episode_that_nothing_was_explained_of_has_no_mean():
    first, second = episode_values(columns([0.1, 0.2, 0.3, 0.4], 2, np.array([True, True, False, False])))
    assert first.mean == pytest.approx(0.15)
    assert (second.frames, second.interval(0).count) == (2, 0)
    assert math.isnan(second.mean)


def test_effects_are_means_over_explained_frames_with_their_reason():
    explained = np.array([True, False, True])
    share, nothing = np.array([0.2, 9.0, 0.4]), np.full(3, math.nan)
    effects = {
        "state": EffectColumns(share / 2, share),
        "instruction": EffectColumns(nothing, nothing, "no donor"),
        "everything": EffectColumns(share, share),
    }
    state, instruction = mean_effects(columns([0.1] * 3, explained=explained, effects=effects))
    assert (state.share, state.delta, state.frames) == (pytest.approx(0.3), pytest.approx(0.15), 2)
    assert math.isnan(instruction.share)
    assert instruction.reason == "no donor"


def test_the_worst_frames_are_explained_and_lie_apart():
    values = [0.1, 0.9, 0.8, math.nan, 1.0, 0.7]
    seconds = np.array([0, 5, 5.5, 7, 8, 9.0])
    explained = np.array([True, True, True, True, False, True])
    assert worst_frames(columns(values, explained=explained, seconds=seconds)) == [1, 5, 0]
    assert worst_frames(columns([math.nan] * 3)) == [0, 1, 2]


def test_every_frame_of_a_short_recording_is_a_point():
    drawn = timeline(columns(np.linspace(0, 1, 11)), 10)
    (line,) = points(drawn)
    assert line == [pytest.approx((40 + 95 * place, 10 + 190 * (1 - place / 10))) for place in range(11)]
    assert count(drawn, "polygon", "band") == 1
    assert count(drawn, "line", "episode") == 0


def test_lines_break_where_there_is_no_ratio_and_single_frames_are_dots():
    drawn = timeline(columns([0.1, 0.2, math.nan, 0.3, math.nan, 0.4, 0.5]), 10)
    assert [len(line) for line in points(drawn)] == [2, 2]
    assert count(drawn, "circle", "nmr") == 1
    assert count(drawn, "polygon", "band") == 2
    assert count(drawn, "rect", "band") == 1


def test_the_band_goes_on_over_interpolated_frames():
    low = np.array([0.1, math.nan, 0.1])
    drawn = timeline(columns([0.2, 0.2, 0.2], low=low, high=low + 0.2), 10)
    assert count(drawn, "polygon", "band") == 1
    assert [len(line) for line in points(drawn)] == [3]


def test_many_frames_are_means_with_a_band_that_holds_the_worst():
    values = np.full(15_000, 0.4)
    values[7777], values[7778] = 0.8, 0.0
    drawn = timeline(columns(values, chance=np.full(15_000, 0.25)), 10)
    (line,) = points(drawn)
    assert len(line) == 1500
    assert {y for _, y in line} == {124.0}
    (band,) = points(drawn, "band", "polygon")
    assert min(y for _, y in band) == 48.0
    assert max(y for _, y in band) == 200.0
    # Where the odd frames are: in the bin of the frames 7770 to 7779.
    x = pytest.approx(40 + 950 * 7774.5 / 14_999, abs=0.06)
    assert [place for place, y in band if y in (48.0, 200.0)] == [x, x]
    assert len(points(drawn, "chance")[0]) == 1500


def test_binned_lines_break_between_few_episodes_and_at_gaps():
    values = np.full(3000, 0.5)
    values[500:600] = math.nan
    drawn = timeline(columns(values, episodes=3), 10)
    assert count(drawn, "polyline", "nmr") == 4
    assert count(drawn, "line", "episode") == 2
    assert sum(map(len, points(drawn))) == 1450


def test_thousands_of_short_episodes_are_one_line_without_separators():
    values = np.random.default_rng(0).uniform(size=6000)
    drawn = timeline(columns(values, episodes=2000), 10)
    assert count(drawn, "line", "episode") == 0
    (line,) = points(drawn)
    assert len(line) == 1500
    assert len(drawn) < 200_000


def test_many_short_episodes_of_few_frames_are_lines_of_their_own():
    drawn = timeline(columns(np.full(180, 0.5), episodes=60), 10)
    assert count(drawn, "polyline", "nmr") == 60
    assert count(drawn, "line", "episode") == 0
