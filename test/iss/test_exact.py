# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import functools
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from toys import ToyPolicy, observe

from vla_iss_ros import settings
from vla_iss_ros.iss.estimators import REGISTRY
from vla_iss_ros.iss.estimators.exact import Exact
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.observation import Observation

CONSISTENT = sorted(name for name, kind in REGISTRY.items() if kind.plan is None and name != "surrogate")
CAMERAS = ("front", "wrist", "side")
# Cells 9 and 12: one view of 3 x 3 and three of 2 x 2.
GRIDS = {9: (1, 3), 12: (3, 2)}


def explain(function, observation, donors, cameras=CAMERAS, **values):
    chosen = settings.check({"effects": False, "block_size": 64, "samples": 64, **values})
    return Explainer(ToyPolicy(function, cameras), chosen, donors).explain(observation)


def reads_everything(views, seed=0, side=6):
    """Return a function of all views together that is far from additive in what is replaced."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(views * 3 * side * side, 6, generator=generator) * 0.3

    def function(images):
        pooled = torch.nn.functional.adaptive_avg_pool2d(images.flatten(0, 1), side) - 0.5
        return torch.tanh(pooled.reshape(len(images), -1) @ weights * 4).view(-1, 2, 3)

    return function


COALITIONS = torch.tensor(list(itertools.product([False, True], repeat=2)))  # 00 01 10 11


@pytest.mark.parametrize("block", [1, 2, 3, 4])
def test_by_hand(block):
    estimator = Exact(0.3, False)
    delta = torch.tensor([0.0, 2.0, 5.0, 11.0])
    for start in range(0, 4, block):
        estimator.update(COALITIONS[start : start + block], delta[start : start + block])
    result = estimator.estimate()
    # Cell 0: replaced alone 5 (0.7), with the other 11 (0.3); kept 0 (0.7) and 2 (0.3).
    assert result.iss.tolist() == pytest.approx([0.7 * 5 + 0.3 * 11, 0.7 * 2 + 0.3 * 11])
    assert result.contrast.tolist() == pytest.approx([6.8 - 0.3 * 2, 4.7 - 0.3 * 5])
    assert result.standard_error.tolist() == [0, 0]
    assert result.samples == 4


def test_pictures_are_averaged():
    delta = torch.tensor([0.0, 2.0, 5.0, 11.0])
    both, alone = Exact(0.3, False, pictures=2), Exact(0.3, False)
    both.update(COALITIONS, delta, torch.zeros(4, dtype=torch.int64))
    both.update(COALITIONS, 3 * delta, torch.ones(4, dtype=torch.int64))
    alone.update(COALITIONS, 2 * delta)
    torch.testing.assert_close(both.estimate().iss, alone.estimate().iss)
    torch.testing.assert_close(both.estimate().contrast, alone.estimate().contrast)
    assert both.estimate().samples == 8


def random_frame(seed, cameras, donors=3, size=24):
    return observe(seed, size, cameras), [
        observe(100 + seed * 10 + index, size, cameras) for index in range(donors)
    ]


def blocky(observation: Observation) -> Observation:
    """Return pictures of 4 x 4 patches: what the cells show differs, as pixels of noise do not."""
    images = {name: image[::6, ::6].repeat(6, 0).repeat(6, 1) for name, image in observation.images.items()}
    return Observation(images, observation.instruction, None, observation.stamp)


@functools.cache
def example(cells, keep, estimator, samples=64, design="balanced"):
    views, grid = GRIDS[cells]
    cameras = CAMERAS[:views]
    observation, donors = random_frame(1, cameras)
    return explain(
        reads_everything(views),
        blocky(observation),
        [blocky(donor) for donor in donors],
        cameras,
        estimator=estimator,
        grid=grid,
        keep_probability=keep,
        samples=samples,
        design=design,
        batch_size=1024,
        block_size=min(samples, 512),
    ).estimate


@pytest.mark.parametrize("design", ["balanced", "bernoulli"])
@pytest.mark.parametrize("keep", [0.3, 0.7])
@pytest.mark.parametrize("cells", sorted(GRIDS))
@pytest.mark.parametrize("name", CONSISTENT)
def test_consistent_estimators_converge_to_it(name, cells, keep, design):
    truth = example(cells, keep, "exact")
    result = example(cells, keep, name, 8192, design)
    # Fixed denominators leave about three times the noise of realised ones.
    factor = 3 if (name, design) == ("horvitz_thompson", "bernoulli") else 1
    torch.testing.assert_close(result.iss, truth.iss, rtol=0, atol=0.025 * factor)
    torch.testing.assert_close(result.contrast, truth.contrast, rtol=0, atol=0.035 * factor)
    assert ((result.contrast - truth.contrast).abs() < 5 * result.standard_error).all()


@pytest.mark.parametrize("keep", [0.3, 0.7])
@pytest.mark.parametrize("cells", sorted(GRIDS))
def test_it_tells_an_estimator_that_keeps_its_bias(cells, keep):
    bias = example(cells, keep, "surrogate", 8192).iss - example(cells, keep, "exact").iss
    assert bias.abs().max() > 0.1


def test_where_hardly_anything_is_replaced_it_is_leave_one_out():
    chosen = settings.check({"estimator": "exact", "grid": 3, "effects": False})
    rarely = dataclasses.replace(chosen, keep_probability=1 - 1e-9)
    observation, donors = random_frame(1, ("front",))
    limit = (
        Explainer(ToyPolicy(reads_everything(1), ("front",)), rarely, donors).explain(observation).estimate
    )
    alone = explain(
        reads_everything(1), observation, donors, ("front",), estimator="leave_one_out", grid=3
    ).estimate
    torch.testing.assert_close(limit.iss, alone.iss, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(limit.contrast, alone.contrast, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_an_additive_displacement_is_recovered_by_the_surrogate(keep):
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(3 * 24 * 24, 6, generator=generator) / 24

    def function(images):
        return (images.flatten(1) @ weights).view(-1, 2, 3)

    observation, _ = random_frame(2, ("front",))
    donors = [observe(200, 24, ("front",))]
    both = {
        name: explain(
            function,
            observation,
            donors,
            ("front",),
            estimator=name,
            grid=3,
            keep_probability=keep,
            samples=8192,
            batch_size=1024,
            block_size=1024,
        ).estimate
        for name in ("surrogate", "exact")
    }
    scale = both["exact"].contrast.abs().max().item()
    torch.testing.assert_close(both["surrogate"].iss, both["exact"].iss, rtol=1e-3, atol=1e-3 * scale)
    torch.testing.assert_close(
        both["surrogate"].contrast, both["exact"].contrast, rtol=1e-3, atol=1e-3 * scale
    )


@hypothesis_settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.1, 10), seed=st.integers(0, 50))
@pytest.mark.parametrize("name", ["exact", "leave_one_out"])
def test_actions_that_are_scaled_scale_the_map_by_the_square(name, scale, seed):
    function = reads_everything(1, seed)
    observation, donors = random_frame(seed, ("front",), donors=2)
    values = {"estimator": name, "grid": 2}
    plain = explain(function, observation, donors, ("front",), **values).estimate
    scaled = explain(
        lambda images: function(images) * scale, observation, donors, ("front",), **values
    ).estimate
    factor = scale**2
    atol = 1e-5 * factor * plain.iss.max().item()
    torch.testing.assert_close(scaled.iss, plain.iss * factor, rtol=1e-4, atol=atol)
    torch.testing.assert_close(scaled.contrast, plain.contrast * factor, rtol=1e-4, atol=atol)


@hypothesis_settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 50))
@pytest.mark.parametrize("name", ["exact", "leave_one_out"])
def test_mirrored_pictures_mirror_the_map(name, seed):
    function = reads_everything(1, seed)
    observation, donors = random_frame(seed, ("front",), donors=2)

    def mirrored(each):
        images = {camera: image[:, ::-1].copy() for camera, image in each.images.items()}
        return Observation(images, each.instruction, None, each.stamp)

    values = {"estimator": name, "grid": 3}
    plain = explain(function, observation, donors, ("front",), **values)
    flipped = explain(
        lambda images: function(images.flip(-1)),
        mirrored(observation),
        [mirrored(donor) for donor in donors],
        ("front",),
        **values,
    )
    for before, after in (
        (plain.estimate.iss, flipped.estimate.iss),
        (plain.estimate.contrast, flipped.estimate.contrast),
    ):
        expected = plain.cells.by_view(before)["front"].flip(-1).flatten()
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5 * before.abs().max().item())


@pytest.mark.parametrize("name", ["exact", "leave_one_out"])
def test_a_policy_that_never_moves_has_a_zero_map(name):
    observation, donors = random_frame(0, ("front",))
    result = explain(
        lambda images: torch.ones(len(images), 2, 3), observation, donors, ("front",), estimator=name, grid=3
    ).estimate
    assert result.iss.abs().max() == 0
    assert result.contrast.abs().max() == 0
    assert result.standard_error.abs().max() == 0


@pytest.mark.parametrize("samples", [64, 5000])
def test_samples_and_time_budget_do_not_matter(samples):
    observation, donors = random_frame(4, CAMERAS[:2])
    chosen = settings.check({"estimator": "exact", "grid": 2, "effects": False, "samples": samples})
    hurried = dataclasses.replace(chosen, time_budget=1e-9)  # which check refuses
    policy = ToyPolicy(reads_everything(2), CAMERAS[:2])
    result = Explainer(policy, hurried, donors).explain(observation)
    assert (result.samples, result.stop_reason) == (2**8 * 3, "samples")
    assert (result.estimate.standard_error == 0).all()


def test_too_much_for_a_frame_is_named():
    observation, donors = random_frame(4, CAMERAS[:2])
    values = {"estimator": "exact", "grid": 4}
    with pytest.raises(ValueError, match=r"takes at most 16 cells, got 32; set grid to 2 or use another"):
        explain(reads_everything(2), observation, donors, CAMERAS[:2], **values)
    with pytest.raises(ValueError, match="65536 coalitions with each of 3 baseline pictures"):
        explain(reads_everything(1), observation, donors, ("front",), **values)


def test_seed_and_block_size_do_not_matter():
    observation, donors = random_frame(4, ("front",))
    maps = [
        explain(
            reads_everything(1),
            observation,
            donors,
            ("front",),
            estimator="exact",
            grid=3,
            seed=seed,
            block_size=size,
        ).estimate.contrast
        for seed, size in ((0, 64), (1, 64), (0, 7))
    ]
    torch.testing.assert_close(maps[1], maps[0], rtol=0, atol=0)
    torch.testing.assert_close(maps[2], maps[0], rtol=1e-4, atol=1e-7)


def test_bad_input_is_refused():
    delta = torch.ones(4)
    with pytest.raises(ValueError, match="no samples yet; call update first"):
        Exact(0.3, False).estimate()
    part = Exact(0.3, False)
    part.update(COALITIONS[:3], delta[:3])
    with pytest.raises(ValueError, match="has 3 of 4 evaluations; a part of them is no result"):
        part.estimate()
    with pytest.raises(ValueError, match="got one twice"):
        part.update(COALITIONS[2:], delta[2:])
    with pytest.raises(ValueError, match="got one twice"):
        Exact(0.3, False).update(COALITIONS[[1, 1]], delta[:2])
    with pytest.raises(ValueError, match="there are 2 baseline pictures, got number 2"):
        Exact(0.3, False, pictures=2).update(COALITIONS, delta, torch.tensor([0, 1, 2, 0]))
    with pytest.raises(ValueError, match="takes at most 16 cells, got 17"):
        Exact(0.3, False).update(torch.zeros(1, 17, dtype=torch.bool), delta[:1])
    with pytest.raises(ValueError, match="must be finite"):
        Exact(0.3, False).update(COALITIONS, torch.tensor([0, 1, math.nan, 2]))
