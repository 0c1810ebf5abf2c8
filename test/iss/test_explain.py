# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math
import threading

import cv2
import numpy as np
import pytest
import torch
from toys import ToyPolicy, observe, reads_cell

from vla_iss_ros import settings
from vla_iss_ros.iss.estimators import REGISTRY
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.lane import PlainLane
from vla_iss_ros.iss.map_ratios import NO_REGIONS
from vla_iss_ros.iss.observation import Actions
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.iss.subjects import Pixels

DONORS = [observe(seed) for seed in range(100, 104)]


def explain(policy, observation=None, regions=None, **values):
    chosen = settings.check({"samples": 96, "block_size": 32, "effects": False, **values})
    return Explainer(policy, chosen, DONORS).explain(observation or observe(0), regions)


@pytest.mark.parametrize("estimator", sorted(REGISTRY))
@pytest.mark.parametrize("design", ["balanced", "bernoulli", "sobol"])
@pytest.mark.parametrize("baseline", ["donor", "blur", "mean_colour"])
@pytest.mark.parametrize("layout", ["per_view", "stitched"])
def test_polarity_the_cell_that_is_read_gets_the_maximum(estimator, design, baseline, layout):
    grid, row, column = (2, 1, 0) if estimator == "exact" else (7, 2, 4)
    policy = ToyPolicy(reads_cell(1, row, column, grid))
    result = explain(
        policy,
        samples=512,
        estimator=estimator,
        design=design,
        baseline=baseline,
        mask_layout=layout,
        grid=grid,
    )
    cell = grid**2 + row * grid + column
    assert result.estimate.contrast.argmax() == cell
    assert result.estimate.iss.argmax() == cell
    assert result.estimate.contrast[cell] > 0


# 32 cells and 96 samples: three of four rounds of leave_one_out.
@pytest.mark.parametrize(("estimator", "grid"), [("spatial", 7), ("leave_one_out", 4), ("exact", 2)])
@pytest.mark.parametrize("batch_size", [2, 3, 4])
def test_the_map_does_not_depend_on_the_batch_size(estimator, grid, batch_size):
    policy = ToyPolicy(lambda images: images.mean((1, 2))[:, :, :4].pow(2))
    whole = explain(policy, estimator=estimator, grid=grid, batch_size=64)
    parts = explain(policy, estimator=estimator, grid=grid, batch_size=batch_size)
    torch.testing.assert_close(parts.estimate.contrast, whole.estimate.contrast, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(
        parts.estimate.standard_error, whole.estimate.standard_error, rtol=1e-4, atol=1e-9
    )


def test_batches_are_equal_within_a_block_and_hold_row_zero():
    policy = ToyPolicy(reads_cell(0, 0, 0))
    explain(policy, samples=96, block_size=32, batch_size=17)
    assert policy.batches == [1] + [17] * 6


@pytest.mark.parametrize("estimator", sorted(name for name, kind in REGISTRY.items() if kind.plan is None))
@pytest.mark.parametrize("samples", [97, 111, 112, 127])
def test_any_number_of_samples_has_standard_errors(estimator, samples):
    policy = ToyPolicy(reads_cell(0, 3, 3))
    result = explain(policy, samples=samples, estimator=estimator, batch_size=33)
    assert result.samples == samples
    assert torch.isfinite(result.estimate.standard_error).all()


def test_out_of_memory_halves_the_batch_and_remembers_it():
    plain = reads_cell(0, 3, 3)

    def hungry(images):
        if len(images) > 10:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return plain(images)

    policy = ToyPolicy(hungry)
    explainer = Explainer(policy, settings.check({"samples": 64, "effects": False}), DONORS)
    result = explainer.explain(observe(0))
    expected = explain(ToyPolicy(plain), samples=64)
    torch.testing.assert_close(result.estimate.contrast, expected.estimate.contrast, rtol=1e-4, atol=1e-9)
    tried = len([rows for rows in policy.batches if rows > 10])
    assert explainer.batch_size == 8
    explainer.explain(observe(1))
    assert len([rows for rows in policy.batches if rows > 10]) == tried


def test_out_of_memory_at_the_smallest_batch_is_told():
    def starved(images):
        if len(images) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return images.mean((1, 2, 3, 4))[:, None, None]

    with pytest.raises(torch.cuda.OutOfMemoryError):
        explain(ToyPolicy(starved))


def test_same_stamp_same_map_whatever_was_explained_before():
    policy = ToyPolicy(reads_cell(0, 3, 3), noise_shape=(1, 3))
    explainer = Explainer(policy, settings.check({"samples": 64, "effects": False}), DONORS)
    first = explainer.explain(observe(0, stamp=7))
    explainer.explain(observe(1, stamp=8))
    again = explainer.explain(observe(0, stamp=7))
    assert torch.equal(first.estimate.contrast, again.estimate.contrast)
    other = explainer.explain(observe(0, stamp=9))
    assert not torch.equal(first.estimate.contrast, other.estimate.contrast)


def test_noise_is_shared_by_all_rows():
    policy = ToyPolicy(lambda images: torch.ones(len(images), 2, 3), noise_shape=(2, 3))
    result = explain(policy)
    assert result.mean_delta == 0
    assert result.noise_floor == 0


def test_noise_floor_shows_a_policy_that_answers_differently_each_time():
    calls = iter(range(10**6))
    policy = ToyPolicy(lambda images: torch.full((len(images), 1, 1), float(next(calls))))
    assert explain(policy).noise_floor > 0.5


def test_a_policy_that_ignores_its_images_has_no_ranking():
    regions = RegionMap({name: np.zeros((28, 28), np.uint8) for name in ("front", "wrist")})
    result = explain(ToyPolicy(lambda images: torch.zeros(len(images), 1, 2)), regions=regions)
    assert math.isnan(result.ratios[10].value)
    assert "constant" in result.ratios[10].reason


def test_nmr_is_zero_on_the_object_and_one_beside_it():
    policy = ToyPolicy(reads_cell(0, 3, 3))
    on, off = np.zeros((28, 28), np.uint8), np.full((28, 28), 2, np.uint8)
    on[4:24, 4:24], off[4:24, 4:24] = 2, 0
    # With one cell that matters, the top 1 % of positions are all within it.
    for front, expected in ((on, 0.0), (off, 1.0)):
        regions = RegionMap({"front": front, "wrist": np.zeros((28, 28), np.uint8)})
        result = explain(policy, regions=regions, samples=512, nmr_percent=1)
        assert result.ratios[1].value == pytest.approx(expected, abs=0.05)


def test_no_regions_no_nmr():
    result = explain(ToyPolicy(reads_cell(0, 0, 0)))
    assert result.ratios[10].reason == NO_REGIONS
    only_front = RegionMap({"front": np.zeros((28, 28), np.uint8)})
    assert "camera 'wrist'" in explain(ToyPolicy(reads_cell(0, 0, 0)), regions=only_front).ratios[10].reason


def test_time_budget_stops_after_a_block():
    result = explain(ToyPolicy(reads_cell(0, 0, 0)), time_budget=1e-9)
    assert result.samples == 32
    assert result.stop_reason == "time budget"
    assert explain(ToyPolicy(reads_cell(0, 0, 0))).stop_reason == "samples"


class Counting(ToyPolicy):
    """A policy that counts its runs."""

    runs = 0

    def run_pixels(self, *arguments):
        self.runs += 1
        return super().run_pixels(*arguments)


@pytest.mark.parametrize("last", range(1, 24, 2))
@pytest.mark.parametrize("batch_size", [8, 33])
def test_each_run_of_the_policy_is_told_of_before_it_and_can_end_the_work(batch_size, last):
    """Those for effects are the last ones."""
    chosen = settings.check({"samples": 32, "block_size": 32, "batch_size": batch_size})
    policy, told = Counting(reads_cell(0, 0, 0)), []
    whole = Explainer(policy, chosen, DONORS).explain(observe(0), on_run=lambda: told.append(policy.runs))
    assert told == list(range(policy.runs))
    assert policy.runs > 4

    def stop():
        if policy.runs == last:
            raise KeyboardInterrupt

    explainer, total = Explainer(policy, chosen, DONORS), policy.runs
    policy.runs = 0
    if last < total:
        with pytest.raises(KeyboardInterrupt):
            explainer.explain(observe(0), on_run=stop)
        assert policy.runs == last
    policy.runs = 0
    again = explainer.explain(observe(0)).estimate
    assert torch.equal(again.contrast, whole.estimate.contrast)


def test_donor_baseline_without_donors_is_refused():
    with pytest.raises(ValueError, match="set donors to a directory made by gather_donors"):
        Explainer(ToyPolicy(reads_cell(0, 0, 0)), settings.check({}), [])
    Explainer(ToyPolicy(reads_cell(0, 0, 0)), settings.check({"baseline": "blur"}), [])


def test_actions_that_are_not_finite_are_refused():
    policy = ToyPolicy(lambda images: torch.full((len(images), 1, 2), math.nan))
    with pytest.raises(ValueError, match="returned 2 actions that are not finite"):
        explain(policy)


def test_maps_lie_on_the_image():
    result = explain(ToyPolicy(reads_cell(view=0, row=1, column=5)), samples=512)
    heat = result.contrast_map("front", (140, 280))
    assert heat.dtype == np.float32
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 20 <= row < 40
    assert 200 <= column < 240
    assert result.standard_error_map("wrist", (14, 28)).shape == (14, 28)
    with pytest.raises(KeyError, match="no camera 'side'"):
        result.contrast_map("side", (14, 28))


@pytest.mark.parametrize("batch_size", [2, 3, 64])
def test_reference_preset_agrees_with_the_published_formulas(batch_size):
    """Written again over pixels and masks one by one, as the formulas read."""
    weights = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(5))

    def function(images):
        return torch.tanh((images * weights).flatten(2).sum(2))[:, :, None] * torch.ones(1, 1, 3)

    observation = observe(3)
    values = {
        **settings.REFERENCE,
        "blur_sigma": 3 / 28,
        "nmr_size": 28,
        "effects": False,
        "batch_size": batch_size,
    }
    front, wrist = np.zeros((28, 28), np.uint8), np.zeros((28, 28), np.uint8)
    front[5:17, 8:20], wrist[10:28, 0:15] = 1, 2
    recorder = _Recorder(function)
    result = Explainer(recorder, settings.check(values)).explain(
        observation, RegionMap({"front": front, "wrist": wrist})
    )
    maps, ratios = _published(recorder.replaced(), function, observation, {"front": front, "wrist": wrist})
    for name in ("front", "wrist"):
        ours = result.cells.maps(result.estimate.iss[None], (28, 28))[0, ("front", "wrist").index(name)]
        np.testing.assert_allclose(ours, maps[name], atol=1e-5, rtol=1e-5)
    for percent, value in ratios.items():
        assert result.ratios[percent].value == pytest.approx(value, abs=1e-5)


class _Recorder(ToyPolicy):
    """Draws the reference's masks again from the same seed."""

    def replaced(self) -> np.ndarray:
        # The seed of the default seed 0 is the stamp; a deterministic policy draws no noise before the masks.
        generator = torch.Generator().manual_seed(1)
        return (torch.rand(500, 98, generator=generator) < 0.7).numpy()


def _published(replaced, function, observation, regions):
    views = ("front", "wrist")
    images = {name: observation.images[name].astype(np.float32) for name in views}
    blurred = {name: cv2.GaussianBlur(images[name], (19, 19), 3.0) for name in views}

    def act(pictures):
        stacked = np.stack([pictures[name] for name in views]).transpose(0, 3, 1, 2)[None]
        return function(torch.from_numpy(stacked.astype(np.float32) / 255)).numpy().astype(np.float64)

    baseline = act({name: observation.images[name] for name in views})
    sums = {name: np.zeros((28, 28)) for name in views}
    for mask in replaced:
        keep = 1 - np.hstack(list(mask.reshape(2, 7, 7))).astype(np.float32)
        soft = cv2.resize(keep, (56, 28), interpolation=cv2.INTER_LINEAR)
        parts = {"front": soft[:, :28, None], "wrist": soft[:, 28:, None]}
        mixed = {
            name: np.clip(images[name] * parts[name] + blurred[name] * (1 - parts[name]), 0, 255).astype(
                np.uint8
            )
            for name in views
        }
        delta = ((act(mixed) - baseline) ** 2).mean()
        for name in views:
            sums[name] += delta * (1 - parts[name][:, :, 0])
    maps = {name: sums[name] / (500 * 0.7) for name in views}
    stacked = np.stack([maps[name] for name in views])
    joint = ((stacked - stacked.min()) / (stacked.max() - stacked.min())).ravel()
    valid = np.stack([regions[name] for name in views]).ravel() > 0
    ratios = {}
    for percent in (5, 10, 20, 30, 50):
        top = np.argsort(-joint)[: math.ceil(percent / 100 * joint.size)]
        ratios[percent] = 1 - valid[top].mean()
    return maps, ratios


def test_actions_check_their_shapes():
    with pytest.raises(ValueError, match=r"two tensors \[N, T, A\] of one shape"):
        Actions(torch.zeros(1, 2), torch.zeros(1, 2))


def test_results_are_immutable():
    result = explain(ToyPolicy(reads_cell(0, 0, 0)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.samples = 3


def hearing(on_map, answer=None, **values):
    """Explain with effects, and tell ``on_map`` of the map."""
    policy = ToyPolicy(answer or reads_cell(0, 3, 3))
    chosen = settings.check({"samples": 32, "block_size": 32, **values})
    return policy, Explainer(policy, chosen, DONORS).explain(observe(0), on_map=on_map)


@pytest.mark.parametrize("effects", [True, False])
def test_the_map_is_told_before_its_effects_and_is_the_same(effects):
    heard = []
    _, result = hearing(lambda early: heard.append((early, threading.current_thread())), effects=effects)
    [(early, thread)] = heard
    assert thread is not threading.current_thread()
    assert early.effects == ()
    assert bool(result.effects) == effects
    assert dataclasses.replace(early, effects=result.effects, seconds=result.seconds) == result
    seconds = result.seconds
    assert 0 < early.seconds["policy for the map"] == seconds["policy for the map"]
    assert seconds["policy for the map"] <= seconds["policy until the map"] <= seconds["policy"]
    assert (seconds["policy for the map"] < seconds["policy"]) == effects


@pytest.mark.parametrize("on_host", [True, False])
def test_only_the_host_is_computed_on_beside_the_policy(on_host, monkeypatch):
    threads, products = [], Pixels.products

    def spy(self):
        threads.append(threading.current_thread() is threading.main_thread())
        return products(self)

    monkeypatch.setattr(Pixels, "products", spy)
    on_host_or_not = property(lambda self: on_host, lambda self, value: None)
    monkeypatch.setattr(PlainLane, "on_host", on_host_or_not, raising=False)
    policy = ToyPolicy(reads_cell(0, 3, 3))
    result = Explainer(policy, settings.check({"samples": 64}), DONORS).explain(observe(0))
    assert threads == [not on_host]
    monkeypatch.undo()
    other = Explainer(policy, settings.check({"samples": 64}), DONORS).explain(observe(0))
    assert torch.equal(result.estimate.contrast, other.estimate.contrast)


def test_the_map_does_not_wait_for_the_effects():
    told, plain = threading.Event(), reads_cell(0, 3, 3)

    def answer(images):
        if len(images) not in (1, 33):  # neither the frame as it is nor samples
            assert told.wait(30)
        return plain(images)

    _, result = hearing(lambda early: told.set(), answer)
    assert result.effects


def test_what_the_listener_of_the_map_raises_is_raised_after_the_effects():
    policy = ToyPolicy(reads_cell(0, 3, 3))
    explainer = Explainer(policy, settings.check({"samples": 32}), DONORS)

    def refuse(early):
        raise KeyError("nobody listens")

    with pytest.raises(KeyError, match="nobody listens"):
        explainer.explain(observe(0), on_map=refuse)
    assert explainer.explain(observe(0)).effects


def test_the_map_is_told_even_where_the_effects_fail():
    plain, heard = reads_cell(0, 3, 3), []

    def only_samples(images):
        if len(images) not in (1, 33):
            raise RuntimeError("no effects here")
        return plain(images)

    with pytest.raises(RuntimeError, match="no effects here"):
        hearing(heard.append, only_samples)
    assert heard[0].samples == 32
