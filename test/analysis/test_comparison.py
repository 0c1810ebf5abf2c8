import io
import math

import numpy as np
import pytest
from PIL import Image

from vla_iss_ros.analysis.comparison import (
    PAUSE,
    Curve,
    ShownFrame,
    Style,
    _moments,
    _played_seconds,
    animation,
    chart,
    nearest,
    running_scales,
    sheet,
    spread,
)
from vla_iss_ros.analysis.episodes import ExplainedFrame, summarise

STYLE = Style(0.6, "inferno", 10)
CAMERAS = ("front", "wrist")


def frame(index, value=1.0, episode="press", nmr=0.4):
    image = np.full((32, 48, 3), 90, np.uint8)
    explained = ExplainedFrame(index * 10**8, 0.1 * index, nmr, 0.3, 0.5, 0.35, 128, episode=episode)
    contrasts = {camera: np.full((32, 48), value, np.float32) for camera in CAMERAS}
    return ShownFrame(explained, dict.fromkeys(CAMERAS, image), contrasts, dict.fromkeys(CAMERAS, image))


def test_scale_follows_the_frames_slowly_downwards():
    scales = running_scales([frame(0, 1.0), frame(1, 0.01), frame(2, math.nan)])
    assert scales[0] == pytest.approx(1.0)
    assert 0.1 < scales[10**8] < 1.0
    assert scales[2 * 10**8] == scales[10**8]


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


def test_pauses_between_episodes_are_cut_down():
    frames = [
        frame(index, episode=name).explained for index, name in ((0, "a"), (1, "a"), (40, "b"), (42, "b"))
    ]
    assert _played_seconds(frames) == pytest.approx([0.0, 0.1, 0.1 + PAUSE, 0.3 + PAUSE])


def test_animation_has_frames_of_one_size_and_no_more_than_asked_for():
    policies = {"clean": [frame(index) for index in range(9)], "shortcut": [frame(3), frame(5, nmr=math.nan)]}
    rng = np.random.default_rng(0)
    summaries = {
        name: summarise([shown.explained for shown in frames], rng) for name, frames in policies.items()
    }
    pictures = animation(policies, summaries, CAMERAS, STYLE, most=4)
    assert len(pictures) == 3
    assert len({picture.shape for picture in pictures}) == 1


@pytest.mark.parametrize("nmr", [0.4, math.nan])
def test_chart_has_a_panel_an_episode_and_both_baselines(nmr):
    frames = [frame(index, episode="ab"[index // 2], nmr=nmr).explained for index in range(4)]
    summary = summarise(frames, np.random.default_rng(0))
    curves = [Curve("clean", "donor", 0, frames, summary), Curve("clean", "blur", 0, frames[:1], summary)]
    data = chart(curves, 10)
    assert Image.open(io.BytesIO(data)).format == "PNG"
