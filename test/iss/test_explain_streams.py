# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stopping and streaming through the loop; test_explain.py holds the loop itself."""

import math

import numpy as np
import pytest
import torch
from toys import ToyPolicy, observe, reads_cell

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.iss.stopping import NMR_INTERVAL, SAMPLES
from vla_iss_ros.iss.stream import Stream

DONORS = [observe(seed) for seed in range(100, 104)]
FRAME = 100_000_000


def explainer(policy, **values):
    return Explainer(policy, settings.check({"effects": False, **values}), DONORS)


def regions_around(row, column):
    """Return regions where one cell of the front camera is the object and all else is nuisance."""
    front = np.zeros((28, 28), np.uint8)
    front[4 * row - 3 : 4 * row + 7, 4 * column - 3 : 4 * column + 7] = 2
    return RegionMap({"front": front, "wrist": np.zeros((28, 28), np.uint8)})


def test_a_narrow_interval_stops_early_and_says_so():
    policy, regions = ToyPolicy(reads_cell(0, 3, 3)), regions_around(3, 3)
    early = explainer(policy, samples=1024, nmr_half_width=0.3, nmr_percent=1).explain(observe(0), regions)
    assert early.stop_reason == NMR_INTERVAL
    assert early.samples in (32, 64, 128, 256, 512)
    assert (early.ratios[1].high - early.ratios[1].low) / 2 <= 0.3


def test_the_interval_that_was_looked_at_is_the_one_that_is_reported():
    policy, regions = ToyPolicy(reads_cell(0, 3, 3)), regions_around(3, 3)
    plain = explainer(policy, samples=64).explain(observe(0), regions).ratios[10]
    stretched = explainer(policy, samples=64, nmr_half_width=0.001).explain(observe(0), regions).ratios[10]
    assert stretched.value == plain.value
    assert stretched.high - stretched.low >= plain.high - plain.low > 0


@pytest.mark.parametrize("estimator", ["emulator", "spatial"])
def test_without_regions_the_width_stops_nothing(estimator):
    policy = ToyPolicy(reads_cell(0, 3, 3))
    result = explainer(policy, samples=96, nmr_half_width=1.0, estimator=estimator).explain(observe(0))
    assert (result.samples, result.stop_reason) == (96, SAMPLES)
    assert math.isnan(result.ratios[10].value)


def run(values, frames, stream, policy=None):
    each = explainer(policy or ToyPolicy(reads_cell(0, 3, 3)), **values)
    return [each.explain(observation, stream=stream) for observation in frames]


def frames(count, seed=0, start=1):
    return [observe(seed, stamp=start + FRAME * place) for place in range(count)]


def test_a_stream_remembers_and_a_frame_by_itself_does_not():
    values = {"samples": 16, "block_size": 16}
    alone, streamed = run(values, frames(4), None), run(values, frames(4), Stream())
    assert [result.remembered for result in alone] == [0, 0, 0, 0]
    assert [result.remembered for result in streamed] == [0, 16, 32, 48]
    torch.testing.assert_close(streamed[0].estimate.contrast, alone[0].estimate.contrast)
    cell = 3 * 7 + 3

    def sharpness(result):
        return float(result.estimate.contrast[cell] / result.estimate.contrast.norm())

    assert sharpness(streamed[-1]) > 0.95
    assert streamed[-1].estimate.standard_error[cell] < streamed[0].estimate.standard_error[cell]


def test_the_same_frames_give_the_same_stream():
    values = {"samples": 32, "block_size": 16}
    first, second = (run(values, frames(3), Stream()) for _ in range(2))
    for left, right in zip(first, second, strict=True):
        assert torch.equal(left.estimate.contrast, right.estimate.contrast)


@pytest.mark.parametrize("batch_size", [2, 3, 4])
def test_a_stream_does_not_depend_on_the_batch_size(batch_size):
    values = {"samples": 16, "block_size": 16}
    whole = run(values, frames(3), Stream())[-1]
    parts = run({**values, "batch_size": batch_size}, frames(3), Stream())[-1]
    torch.testing.assert_close(parts.estimate.contrast, whole.estimate.contrast, rtol=1e-3, atol=1e-7)


def test_a_bag_that_loops_starts_anew():
    stream, values = Stream(), {"samples": 16, "block_size": 16}
    run(values, frames(3), stream)
    again = run(values, frames(2), stream)
    assert [result.remembered for result in again] == [0, 16]
    assert again[0].forgot == "the stamps went back"
    fresh = run(values, frames(2), Stream())
    assert torch.equal(again[1].estimate.contrast, fresh[1].estimate.contrast)


def test_other_settings_start_anew_and_samples_do_not_count_as_such():
    stream = Stream()
    run({"samples": 16, "block_size": 16}, frames(1), stream)
    more = run({"samples": 32, "block_size": 16}, frames(1, start=FRAME), stream)[0]
    assert more.remembered == 16
    other = run(
        {"samples": 16, "block_size": 16, "keep_probability": 0.5}, frames(1, start=2 * FRAME), stream
    )[0]
    assert other.remembered == 0
    assert other.forgot == "cells, pictures or settings changed"


def test_estimators_without_memory_stream_as_if_alone():
    values = {"samples": 32, "block_size": 16, "estimator": "hajek"}
    alone, streamed = run(values, frames(3), None), run(values, frames(3), Stream())
    assert streamed[-1].remembered == 0
    assert torch.equal(streamed[-1].estimate.contrast, alone[-1].estimate.contrast)
