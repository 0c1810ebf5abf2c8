# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Attributions that are not ISS: by hand, labelled, in the same result type."""

import math
import time

import pytest
import torch
from token_toys import GRID, TokenToy, token_frame

from vla_iss_ros import settings
from vla_iss_ros.iss.attributions import NEEDS, PROJECTIONS, make_attributors, offered
from vla_iss_ros.iss.pacing import Pace
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.iss.token_means import gather_means


def attribute(name, block=1, toy=None, regions=None):
    toy = toy or TokenToy()
    means = gather_means([toy.encode(toy.preprocess(token_frame(seed))) for seed in range(10, 16)])
    checked = settings.check({"attributions": name, "token_block": block})
    return make_attributors(toy, checked, means)[name].explain(token_frame(3), regions), toy, means


def test_attention_is_the_policys_own_scores():
    result, _, _ = attribute("attention")
    # The toy's scores count its tokens; the front camera's first is token 1.
    front = result.cells.by_view(result.estimate.contrast)["front"]
    assert front.flatten().tolist() == list(range(1, 1 + GRID**2))
    assert result.method == "not ISS: made up, share of attention"


def test_blocks_hold_the_mean_of_their_tokens():
    result, _, _ = attribute("attention", block=2)
    front = result.cells.by_view(result.estimate.contrast)["front"]
    assert float(front[0, 0]) == (1 + 2 + 7 + 8) / 4


def test_the_norm_of_an_embedding():
    result, toy, _ = attribute("token_norm")
    encoded = toy.encode(toy.preprocess(token_frame(3)))
    front = result.cells.by_view(result.estimate.contrast)["front"]
    torch.testing.assert_close(front.flatten().float(), encoded.tokens[0, 1 : 1 + GRID**2].norm(dim=1))


def test_gradient_times_input_of_a_linear_policy_is_the_change_itself():
    result, toy, means = attribute("gradient_input")
    contrast = result.estimate.contrast
    front = result.cells.by_view(contrast)["front"]
    encoded = toy.encode(toy.preprocess(token_frame(3)))
    place = 1 + 2 * GRID + 4
    change = float(means.cameras["front"].mean() - encoded.tokens[0, place].mean())
    # Two action numbers, of which the patch moves one by 9 times its change.
    assert float(front[2, 4]) == pytest.approx((9 * change) ** 2 / 2, rel=1e-4)
    assert int((front > 1e-12).sum()) == 1
    words = {each.word: each.contrast for each in result.words}
    assert words["red"] == pytest.approx((3 * 0.75) ** 2 / 2, rel=1e-4)
    assert words["the"] == pytest.approx(0, abs=1e-12)


def test_hiding_alone_by_hand():
    result, _, _ = attribute("knock_out")
    front = result.cells.by_view(result.estimate.contrast)["front"]
    # The bright patch (1) becomes 0: 9 squared over two numbers.
    assert float(front[2, 4]) == pytest.approx(40.5, rel=1e-5)
    assert result.samples == result.cells.count
    assert result.method.startswith("not ISS: positions hidden")


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_the_result_is_like_that_of_iss(name):
    labels = {camera: torch.zeros(24, 24, dtype=torch.uint8).numpy() for camera in ("front", "wrist")}
    labels["front"][8:12, 16:20] = 2
    result, _, _ = attribute(name, regions=RegionMap(labels))
    assert result.contrast_map("front", (48, 48)).shape == (48, 48)
    assert 0 <= result.ratios[10].value <= 1
    assert len(result.words) == 4
    again = attribute(name)[0]
    torch.testing.assert_close(again.estimate.contrast, result.estimate.contrast, rtol=0, atol=0)
    if name != "knock_out":
        assert math.isnan(float(result.estimate.standard_error[0]))


@pytest.mark.parametrize(
    ("name", "runs"), [("attention", 2), ("token_norm", 1), ("gradient_input", 2 + PROJECTIONS)]
)
def test_every_run_is_told_of_and_keeps_the_gap(name, runs, monkeypatch):
    toy, slept, told = TokenToy(), [], []
    monkeypatch.setattr(Pace, "of", lambda *_: Pace(gap=3600.0, sleep=slept.append))
    chosen = settings.check({"attributions": name})
    make_attributors(toy, chosen)[name].explain(token_frame(3), on_run=lambda: told.append(len(slept)))
    # Told before the gap, which is none before the first run.
    assert told == [max(0, run - 1) for run in range(runs)]
    assert len(slept) == runs - 1


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_the_gap_is_kept_to_runs_of_another_pace(name, monkeypatch):
    slept = []
    monkeypatch.setattr(Pace.__init__, "__defaults__", (0.0, 0.0, time.monotonic, slept.append, None))
    chosen = settings.check({"attributions": name, "batch_gap_ms": 1000.0})
    main = Pace.of(chosen)
    attributor = make_attributors(TokenToy(), chosen, None, main)[name]
    main.note(8, 0.1)
    attributor.explain(token_frame(3))
    assert slept[0] > 0.5
    before = len(slept)
    main.wait()
    assert len(slept) == before + 1


def test_a_run_can_be_refused():
    class StopError(Exception):
        pass

    def stop():
        raise StopError

    toy = TokenToy()
    attributors = make_attributors(toy, settings.check({"attributions": "all"}))
    assert set(attributors) == set(NEEDS)
    for each in attributors.values():
        with pytest.raises(StopError):
            each.explain(token_frame(3), on_run=stop)


def test_all_that_the_policy_allows():
    assert offered(TokenToy()) == ("attention", "token_norm", "gradient_input", "knock_out")
    assert offered(object()) == ()
    assert make_attributors(object(), settings.check({"attributions": "all"})) == {}
    assert make_attributors(TokenToy(), settings.check({})) == {}


def test_what_the_policy_lacks_is_refused():
    with pytest.raises(ValueError, match="object has no encode; set attributions to none"):
        make_attributors(object(), settings.check({"attributions": "attention"}))
