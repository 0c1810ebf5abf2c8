# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from kernels import POSITIONS, some_interventions, some_products, some_values

from vla_iss_ros.iss.estimators.coalition_kernel import (
    LARGEST,
    LARGEST_EXPONENT,
    LEAST_CHANGE,
    PRIOR_DEVIATION,
    PRIOR_MEAN,
    CoalitionKernel,
    Interventions,
    Surface,
)


def test_the_formula_by_hand():
    """Two cells, two pictures, prior means; the second picture changes cell 0 twice as far and cell 1 not alike."""
    products = torch.tensor([[[1.0, 2.0], [2.0, 4.0]], [[4.0, 0.0], [0.0, 4.0]]])
    surface = Surface.of(products, None)
    kernel = CoalitionKernel(surface, CoalitionKernel.prior_values(surface), 0.5)
    left = Interventions.sort(torch.tensor([[1, 1]]), torch.tensor([0]), torch.zeros(1))[0]
    right = Interventions.sort(torch.tensor([[1, 1]]), torch.tensor([1]), torch.tensor([-3.0]))[0]
    exponent = LARGEST_EXPONENT / (1 + math.exp(-0.5))
    change = [[1 / 1.75, 2 / 1.75], [2 / 1.75, 2 / 1.75]]  # mean change (1 + 2 + 2 + 2) / 4
    amplitude = [[h**exponent for h in row] for row in change]
    unit = sum(0.5 * (a**2 + b**2) / 2 for a, b in amplitude)
    alike = 1 / (1 + math.exp(-2.0))
    mix = [0.5 + 0.5 * alike * 1.0, 0.5 + 0.5 * alike * 0.0]
    overlap = sum(a * b * m for (a, b), m in zip(amplitude, mix, strict=True)) / unit
    interaction = math.exp(-1.0)
    expected = math.expm1(interaction * overlap) / interaction * math.exp(-3 * math.exp(-3.0))
    assert kernel.gram(left, right).item() == pytest.approx(expected)
    assert kernel.overlap(left, right).item() == pytest.approx(overlap)


def test_nothing_replaced_has_no_covariance_with_anything():
    surface = Surface.of(some_products(), POSITIONS)
    kernel = CoalitionKernel(surface, some_values(surface), 0.5)
    nothing = Interventions.sort(torch.zeros(2, 8), torch.tensor([0, 1]), torch.zeros(2))[0]
    assert kernel.gram(nothing, some_interventions()).abs().max() == 0


@pytest.mark.parametrize("frames", [1, 3])
def test_the_kernel_is_symmetric_and_positive(frames):
    surface = Surface.of(some_products(), POSITIONS)
    given = some_interventions(frames=frames)
    gram = CoalitionKernel(surface, some_values(surface), 0.5).gram(given, given)
    torch.testing.assert_close(gram, gram.T)
    assert torch.linalg.eigvalsh(gram).min() > -1e-9 * gram.diagonal().max()


def test_answers_of_earlier_frames_fade():
    surface = Surface.of(some_products(), POSITIONS)
    kernel = CoalitionKernel(surface, some_values(surface), 0.5)
    now = some_interventions(count=6)
    ages = [Interventions(now.replaced, now.pictures, now.times - age) for age in (1.0, 2.0, 1e6)]
    same, once, twice, never = (kernel.gram(now, other) for other in (now, *ages))
    torch.testing.assert_close(twice * same, once * once)
    assert never.abs().max() == 0


@pytest.mark.parametrize("frames", [1, 3])
def test_the_gradient_equals_finite_differences(frames):
    surface = Surface.of(some_products(), POSITIONS)
    given, values = some_interventions(frames=frames), some_values(surface)
    outer = torch.randn(20, 20, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    outer = outer + outer.T

    def function(at):
        return float((CoalitionKernel(surface, at, 0.5).gram(given, given) * outer).sum())

    kernel = CoalitionKernel(surface, values, 0.5)
    overlap, fading = kernel.overlap(given, given), kernel.fading(given, given)
    gradient = kernel.gradient(given, kernel.of_overlap(overlap, fading), overlap, fading, outer)
    for place in range(len(values)):
        step = torch.zeros_like(values)
        step[place] = 1e-6
        slope = (function(values + step) - function(values - step)) / 2e-6
        assert gradient[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_scalars_stay_within_what_can_be_computed_and_have_no_slope_there():
    surface = Surface.of(some_products(), POSITIONS)
    far = CoalitionKernel.prior_values(surface)
    far[-6:] = 100.0
    kernel, edge = CoalitionKernel(surface, far, 0.5), far.clone()
    edge[-6:] = (LARGEST - PRIOR_MEAN) / PRIOR_DEVIATION
    given = some_interventions()
    gram = kernel.gram(given, given)
    torch.testing.assert_close(gram, CoalitionKernel(surface, edge, 0.5).gram(given, given))
    ones = torch.ones(20, 20, dtype=torch.float64)
    gradient = kernel.gradient(given, gram, kernel.overlap(given, given), kernel.fading(given, given), ones)
    assert gradient[-6:].abs().max() == 0


def test_cells_that_never_change_keep_a_little_weight():
    products = torch.tensor([[[1.0]], [[0.0]]])
    surface = Surface.of(products, None)
    assert surface.log_change[1].item() == pytest.approx(math.log(LEAST_CHANGE))
    assert torch.isfinite(Surface.of(torch.zeros(2, 3, 3), None).log_change).all()
    weights = CoalitionKernel(surface, CoalitionKernel.prior_values(surface), 0.5).weights
    assert weights[0] > 100 * weights[1] > 0


def test_weights_are_smooth_within_a_view_and_free_between_views():
    surface = Surface.of(some_products(), POSITIONS)
    covariance = surface.field[:, :8] @ surface.field[:, :8].T
    assert covariance[0, 1] > 0.3 * covariance[0, 0]
    assert covariance[0, 4] == 0
    shift = surface.field[:, 8]
    assert shift[:4].unique().numel() == 1
    assert shift[4:].abs().max() == 0


def test_interventions_are_sorted_by_picture_and_keep_their_order_within():
    replaced = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0]])
    given, order = Interventions.sort(replaced, torch.tensor([2, 0, 2, 0]), torch.zeros(4))
    assert order.tolist() == [1, 3, 0, 2]
    assert given.replaced.tolist() == replaced[order].tolist()
    assert given.parts == [(0, slice(0, 2)), (2, slice(2, 4))]
    assert given.still
