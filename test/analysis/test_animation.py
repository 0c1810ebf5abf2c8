# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from vla_iss_ros.analysis.animation import PAUSE, _played_seconds, animation
from vla_iss_ros.analysis.comparison import ShownFrame, Style
from vla_iss_ros.analysis.episodes import ExplainedFrame, summarise

STYLE = Style(0.6, "inferno", 10, 1.0)
CAMERAS = ("front", "wrist")


def frame(index, value=1.0, episode="press", nmr=0.4):
    image = np.full((32, 48, 3), 90, np.uint8)
    explained = ExplainedFrame(index * 10**8, 0.1 * index, nmr, 0.3, 0.5, 0.35, 128, episode=episode)
    contrasts = {camera: np.full((32, 48), value, np.float32) for camera in CAMERAS}
    return ShownFrame(explained, dict.fromkeys(CAMERAS, image), contrasts, dict.fromkeys(CAMERAS, image))


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


def test_same_contrast_has_the_same_colour_at_any_time_and_the_legend_never_changes():
    frames = [frame(0, 0.1), frame(1, 0.9), frame(2, 0.1)]
    summary = summarise([shown.explained for shown in frames], np.random.default_rng(0))
    first, second, third = animation({"clean": frames}, {"clean": summary}, ("front",), STYLE, tile=176)
    legend = STYLE.legend(first.shape[1]).shape[0]
    overlay = np.s_[25:-legend, 182:358]
    assert np.array_equal(first[overlay], third[overlay])
    assert not np.array_equal(first[overlay], second[overlay])
    assert np.array_equal(first[-legend:], second[-legend:])
