# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import io
import math

import numpy as np
import pytest
from PIL import Image

from vla_iss_ros.analysis import comparison
from vla_iss_ros.analysis.comparison import (
    Curve,
    ShownFrame,
    Style,
    _moments,
    chart,
    common_scale,
    nearest,
    peak,
    sheet,
    spread,
)
from vla_iss_ros.analysis.episodes import ExplainedFrame, summarise

STYLE = Style(0.6, "inferno", 10, 1.0)
CAMERAS = ("front", "wrist")


def frame(index, value=1.0, episode="press", nmr=0.4):
    image = np.full((32, 48, 3), 90, np.uint8)
    explained = ExplainedFrame(index * 10**8, 0.1 * index, nmr, 0.3, 0.5, 0.35, 128, episode=episode)
    contrasts = {camera: np.full((32, 48), value, np.float32) for camera in CAMERAS}
    return ShownFrame(explained, dict.fromkeys(CAMERAS, image), contrasts, dict.fromkeys(CAMERAS, image))


def test_one_scale_for_all_policies_that_a_single_frame_does_not_stretch():
    clean, shortcut = [frame(index, 0.1) for index in range(20)], [frame(0, 0.2), frame(1, 50.0)]
    expected = np.percentile([0.1] * 20 + [0.2, 50.0], 95)
    assert common_scale({"clean": clean, "shortcut": shortcut}) == pytest.approx(expected)
    assert expected < 0.3


def test_scale_without_positive_contrast():
    assert common_scale({"clean": [frame(0, math.nan), frame(1, -1.0)], "shortcut": []}) == 1.0
    assert math.isnan(peak(frame(0, math.nan)))


def test_same_contrast_has_the_same_colour_in_every_row_and_policy(monkeypatch):
    rows = []
    monkeypatch.setattr(comparison, "contact_sheet", lambda columns, given, **words: rows.extend(given))
    clean, shortcut = [frame(0, 0.1), frame(1, 0.5)], [frame(0, 0.5), frame(1, 0.1)]
    sheet({"clean": clean, "shortcut": shortcut}, CAMERAS, STYLE)
    (first, other), (second, another) = (row.tiles[2:4] for row in rows)
    assert np.array_equal(first, another)
    assert np.array_equal(second, other)
    assert not np.array_equal(first, second)
    assert [line for line in rows[0].label if "peak" in line] == ["   peak 0.1 delta", "   peak 0.5 delta"]


def test_nearest_frame_within_the_tolerance():
    frames = [frame(0), frame(2), frame(4)]
    assert nearest(frames, 210_000_000, 20_000_000) is frames[1]
    assert nearest(frames, 300_000_000, 50_000_000) is None
    assert nearest([], 0, 10) is None


def test_moments_are_spread_over_all_episodes():
    frames = [frame(index, episode="abc"[index // 10]) for index in range(30)]
    picked = [shown.explained.stamp // 10**8 for shown in spread(frames, 6)]
    assert picked == [2, 7, 12, 17, 22, 27]


def test_short_episodes_are_shown_whole():
    assert len(spread([frame(0, episode="a"), frame(1, episode="b"), frame(2, episode="b")], 6)) == 3


def test_sheet_has_a_row_a_moment_even_where_a_policy_lacks_the_frame():
    policies = {"clean": [frame(0), frame(1)], "shortcut": [frame(1)]}
    few = sheet({"clean": [frame(0)], "shortcut": []}, CAMERAS, STYLE)
    many = sheet(policies, CAMERAS, STYLE)
    assert many.shape[1] == few.shape[1]
    assert many.shape[0] > few.shape[0]


def test_moments_are_those_that_all_policies_have():
    clean, shortcut = [frame(index) for index in range(0, 40, 4)], [frame(8), frame(12), frame(24)]
    picked = _moments({"clean": clean, "shortcut": shortcut}, 3)
    assert [shown.explained.stamp // 10**8 for shown in picked] == [8, 12, 24]


def test_sheet_without_frames_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        sheet({"clean": [], "shortcut": []}, CAMERAS, STYLE)


@pytest.mark.parametrize("nmr", [0.4, math.nan])
def test_chart_has_a_panel_an_episode_and_both_baselines(nmr):
    frames = [frame(index, episode="ab"[index // 2], nmr=nmr).explained for index in range(4)]
    summary = summarise(frames, np.random.default_rng(0))
    curves = [Curve("clean", "donor", 0, frames, summary), Curve("clean", "blur", 0, frames[:1], summary)]
    data = chart(curves, 10)
    assert Image.open(io.BytesIO(data)).format == "PNG"
