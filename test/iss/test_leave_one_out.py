# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from toys import ToyPolicy, observe, reads_cell

from vla_iss_ros import settings
from vla_iss_ros.iss.estimators.leave_one_out import LeaveOneOut
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.plans import SingleCells

ALONE = torch.eye(2, dtype=torch.bool)


def fed(delta, pictures, of, block=2):
    """Give delta, cells 0 and 1 in turn."""
    estimator = LeaveOneOut(0.3, False, pictures=of)
    replaced = ALONE.repeat(len(delta) // 2, 1)
    for start in range(0, len(delta), block):
        rows = slice(start, start + block)
        estimator.update(replaced[rows], torch.tensor(delta)[rows], torch.tensor(pictures)[rows])
    return estimator.estimate()


@pytest.mark.parametrize("block", [1, 2, 3, 6])
def test_by_hand(block):
    result = fed([1.0, 4.0, 3.0, 4.0, 8.0, 4.0], [0, 1, 1, 2, 2, 3], of=5, block=block)
    assert result.iss.tolist() == pytest.approx([4, 4])
    assert torch.equal(result.contrast, result.iss)
    # {1, 3, 8} has variance 13; three of five pictures were met.
    assert result.standard_error.tolist() == pytest.approx([math.sqrt(13 / 3 * (1 - 3 / 5)), 0])
    assert result.samples == 6


def test_after_all_pictures_nothing_is_left_to_chance():
    result = fed([1.0, 4.0, 3.0, 6.0], [0, 1, 1, 0], of=2)
    assert result.iss.tolist() == [2, 5]
    assert result.standard_error.tolist() == [0, 0]
    assert fed([1.0, 4.0], [0, 0], of=1).standard_error.tolist() == [0, 0]


def test_one_of_several_pictures_has_no_standard_error():
    result = fed([1.0, 4.0], [2, 0], of=3)
    assert result.iss.tolist() == [1, 4]
    assert torch.isnan(result.standard_error).all()


def test_a_cell_that_was_not_replaced_yet_is_nan():
    estimator = LeaveOneOut(0.3, False, pictures=2)
    estimator.update(ALONE[:1], torch.ones(1))
    result = estimator.estimate()
    assert result.iss[0] == 1
    assert torch.isnan(torch.stack([result.iss, result.contrast, result.standard_error])[:, 1]).all()


def test_few_rounds_are_unbiased_and_the_standard_error_has_the_size_of_the_error():
    cells, pictures = 6, 7
    table = torch.rand(pictures, cells, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    truth = table.mean(0)
    errors, variances = [], []
    for seed in range(600):
        listed = SingleCells().enumerate(cells, pictures, 3 * cells, torch.Generator().manual_seed(seed))
        replaced, chosen = listed.rows(torch.arange(listed.length))
        estimator = LeaveOneOut(0.3, False, pictures=pictures)
        estimator.update(replaced, table[chosen, replaced.nonzero()[:, 1]], chosen)
        result = estimator.estimate()
        errors.append(result.iss - truth)
        variances.append(result.standard_error.square())
    error, variance = torch.stack(errors), torch.stack(variances).mean(0)
    assert (error.mean(0).abs() < 4 * (variance / 600).sqrt()).all()
    # 600 squares of three draws: their mean is known to some 6 %.
    torch.testing.assert_close(error.square().mean(0), variance, rtol=0.25, atol=0)


def explain(function, samples=64, grid=2, **values):
    chosen = settings.check(
        {
            "samples": samples,
            "block_size": 8,
            "estimator": "leave_one_out",
            "grid": grid,
            "effects": False,
            **values,
        }
    )
    donors = [observe(seed) for seed in range(100, 103)]
    return Explainer(ToyPolicy(function), chosen, donors).explain(observe(0))


def test_the_map_is_the_mean_over_donors_of_replacing_each_cell_alone():
    def function(images):
        return torch.tanh(images.mean((3, 4))).flatten(1)[:, None, :] * 3

    result = explain(function)
    images = torch.stack(
        [torch.from_numpy(observe(0).images[name]).float() / 255 for name in ("front", "wrist")]
    )
    expected = []
    for cell in range(8):
        coverage = result.cells.coverage(torch.eye(8)[cell : cell + 1])
        moved = []
        for seed in range(100, 103):
            mixed = []
            for view, name in enumerate(("front", "wrist")):
                donor = torch.from_numpy(observe(seed).images[name]).float() / 255
                cover = coverage[name][0, 0, :, :, None]
                mixed.append((images[view] * (1 - cover) + donor * cover).permute(2, 0, 1))
            start = torch.stack([image.permute(2, 0, 1) for image in images])[None]
            moved.append((function(torch.stack(mixed)[None]) - function(start)).square().mean())
        expected.append(torch.stack(moved).mean())
    torch.testing.assert_close(result.estimate.iss.float(), torch.stack(expected), rtol=1e-4, atol=1e-9)
    assert torch.equal(result.estimate.iss, result.estimate.contrast)


@pytest.mark.parametrize("samples", [8, 15, 16, 23, 24, 500])
def test_rounds_are_whole_and_each_picture_comes_once(samples):
    result = explain(reads_cell(0, 1, 1, 2), samples)
    rounds = min(samples // 8, 3)
    assert (result.samples, result.stop_reason) == (8 * rounds, "samples")
    assert torch.isfinite(result.estimate.contrast).all()
    assert torch.isfinite(result.estimate.standard_error).all() == (rounds > 1)
    assert (result.estimate.standard_error == 0).all() == (rounds == 3)


def test_one_round_is_run_where_samples_are_fewer_than_cells():
    assert explain(reads_cell(0, 3, 3), samples=40, grid=7).samples == 98


def test_time_budget_stops_after_a_whole_round():
    result = explain(reads_cell(0, 0, 0), samples=400, grid=7, block_size=16, time_budget=1e-9)
    assert (result.samples, result.stop_reason) == (98, "time budget")
    assert torch.isfinite(result.estimate.contrast).all()


def test_keep_probability_and_design_play_no_part():
    plain = explain(reads_cell(0, 1, 1, 2))
    other = explain(reads_cell(0, 1, 1, 2), keep_probability=0.2, design="sobol")
    assert torch.equal(plain.estimate.iss, other.estimate.iss)


def test_two_cells_that_can_stand_in_for_each_other_both_get_nothing():
    """What it does not see: dark cells, a bright baseline, and a policy that acts on the darkest cell."""
    observation = observe(0)
    for image in observation.images.values():
        image[:] = 200
    observation.images["front"][:] = 0

    def darkest(images):
        corners = images[:, 0, :, (0, -1)][..., (0, -1)]
        return corners.mean(1).flatten(1).amin(1)[:, None, None]

    donor = observe(1)
    for image in donor.images.values():
        image[:] = 255
    chosen = {"samples": 32, "grid": 2, "effects": False, "baseline": "donor"}
    maps = {}
    for name in ("leave_one_out", "exact"):
        explainer = Explainer(ToyPolicy(darkest), settings.check({**chosen, "estimator": name}), [donor])
        maps[name] = explainer.explain(observation).estimate.contrast
    assert maps["leave_one_out"].abs().max() < 1e-9
    assert (maps["exact"][:4] > 1e-3).all()
    assert maps["exact"][4:].abs().max() < 1e-9


def test_bad_input_is_refused():
    def made():
        return LeaveOneOut(0.3, False, pictures=2)

    with pytest.raises(ValueError, match="no samples yet; call update first"):
        made().estimate()
    with pytest.raises(ValueError, match="replace one cell each"):
        made().update(torch.ones(2, 2, dtype=torch.bool), torch.ones(2))
    with pytest.raises(ValueError, match="replace one cell each"):
        made().update(torch.zeros(2, 2, dtype=torch.bool), torch.ones(2))
    with pytest.raises(ValueError, match="got one twice"):
        made().update(ALONE[[0, 0]], torch.ones(2), torch.tensor([1, 1]))
    again = made()
    again.update(ALONE, torch.ones(2), torch.tensor([1, 1]))
    with pytest.raises(ValueError, match="got one twice"):
        again.update(ALONE[:1], torch.ones(1), torch.tensor([1]))
    with pytest.raises(ValueError, match="there are 2 baseline pictures, got number 2"):
        made().update(ALONE, torch.ones(2), torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="must be finite"):
        made().update(ALONE, torch.tensor([1.0, math.nan]))
