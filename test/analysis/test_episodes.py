# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import itertools
import math

import numpy as np
import pytest

from vla_iss_ros.analysis.episodes import ExplainedFrame, summarise


def rng():
    return np.random.default_rng(0)


def frame(index, nmr, **others):
    return ExplainedFrame(stamp=index, seconds=0.1 * index, nmr=nmr, **others)


def test_means_over_frames():
    frames = [
        frame(0, 0.2, chance=0.3, samples=64, effects={"front": 0.5, "state": 0.1}),
        frame(1, 0.4, chance=0.5, samples=128, effects={"front": 0.7, "state": 0.3}),
    ]
    summary = summarise(frames, rng())
    assert summary.nmr.value == pytest.approx(0.3)
    assert summary.chance == pytest.approx(0.4)
    assert summary.samples == (64, 128)
    assert summary.effects == pytest.approx({"front": 0.6, "state": 0.2})
    assert summary.effect_reasons == {}


def test_undefined_frames_are_counted_but_not_averaged():
    summary = summarise([frame(0, 0.2), frame(1, math.nan, reason="no regions")], rng())
    assert (summary.frames, summary.nmr.count, summary.nmr.value) == (2, 1, 0.2)


def test_nothing_defined_gives_the_frames_reason():
    summary = summarise(
        [frame(0, math.nan, reason="no regions"), frame(1, math.nan, reason="no regions")], rng()
    )
    assert math.isnan(summary.nmr.value)
    assert summary.nmr.reason == "no regions"
    assert math.isnan(summary.chance)


def test_effect_that_was_never_measured_is_nan_with_its_reason():
    frames = [frame(0, 0.2, effects={"state": math.nan}, effect_reasons={"state": "no recorded mean"})]
    summary = summarise(frames, rng())
    assert math.isnan(summary.effects["state"])
    assert summary.effect_reasons == {"state": "no recorded mean"}


def test_no_frames_is_nan_with_a_reason():
    summary = summarise([], rng())
    assert summary.frames == 0
    assert math.isnan(summary.nmr.value)
    assert summary.nmr.reason == "no frame was explained"


def test_blocks_stay_within_an_episode():
    values = [0.0, 1.0] * 4
    frames = [
        frame(index, value, episode=str(index // 8))
        for index, value in enumerate(itertools.chain(*[values] * 4))
    ]
    # Eight frames an episode: blocks of two, each of mean 1/2.
    assert (summarise(frames, rng()).nmr.low, summarise(frames, rng()).nmr.high) == (0.5, 0.5)
