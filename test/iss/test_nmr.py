# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math
from statistics import NormalDist

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_iss_ros.iss.nmr import PERCENTS, MapDraws, nuisance_mass_ratios, top_membership, undefined


def one_view(values, nuisance, percents=(10,), **keywords):
    maps = torch.tensor(values, dtype=torch.float32).view(1, 2, -1)
    share = torch.tensor(nuisance, dtype=torch.float32).view(1, 2, -1)
    return nuisance_mass_ratios(maps, share, ["front"], percents, **keywords)


def test_by_hand():
    # Ten positions; the best four are 9, 8, 7, 6 of which the positions with 9 and 7 are nuisance.
    values = [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    nuisance = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    results = one_view(values, nuisance, (5, 10, 20, 30, 50))
    assert results[10].value == 1.0
    assert results[20].value == 0.5
    assert results[30].value == pytest.approx(2 / 3)
    assert results[50].value == pytest.approx(2 / 5)
    assert results[5].value == 1.0  # ceil(0.5) = 1 position
    assert results[10].chance == pytest.approx(0.2)


def test_ties_share_their_expectation():
    # One of four tied positions is in the top 10 %; two of the four are nuisance.
    results = one_view([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 1])
    assert results[10].value == pytest.approx(0.5)


def test_membership_sums_to_the_count():
    member = top_membership(torch.tensor([3.0, 1.0, 2.0, 2.0, 2.0]), 3)
    assert member.tolist() == pytest.approx([1, 0, 2 / 3, 2 / 3, 2 / 3])


def test_views_are_ranked_jointly_and_a_view_without_top_positions_has_none():
    maps = torch.zeros(2, 2, 5)
    maps[0, 0] = torch.tensor([5.0, 4, 0, 0, 0])
    nuisance = torch.zeros(2, 2, 5)
    nuisance[0, 0, 0] = 1
    result = nuisance_mass_ratios(maps, nuisance, ["front", "wrist"], [10])[10]
    assert result.value == pytest.approx(0.5)
    assert result.per_view["front"] == pytest.approx(0.5)
    assert math.isnan(result.per_view["wrist"])


def test_floor_is_what_small_objects_leave():
    # 50 % of ten positions are five; only two are not nuisance.
    result = one_view(range(10), [0, 0, 1, 1, 1, 1, 1, 1, 1, 1], (50,))[50]
    assert result.floor == pytest.approx(0.6)
    assert result.value >= result.floor


def test_a_constant_map_ranks_nothing():
    result = one_view([2] * 10, [0] * 10)[10]
    assert math.isnan(result.value)
    assert "constant" in result.reason


def test_cells_never_measured_rank_nothing():
    result = one_view([math.nan] + [1] * 9, [0] * 10)[10]
    assert math.isnan(result.value)
    assert "never measured" in result.reason


def test_undefined_says_why():
    results = undefined((5, 10), "no regions")
    assert {result.reason for result in results.values()} == {"no regions"}
    assert all(math.isnan(result.value) for result in results.values())


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"\(0, 100\) percent, got 100"):
        one_view(range(10), [0] * 10, (100,))
    with pytest.raises(ValueError, match="of 2 views"):
        nuisance_mass_ratios(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), ["front", "wrist"])


def test_interval_by_hand():
    # Top 1 of 10. Values 9 and 8 overlap within the bands, nothing else does.
    values = [9, 8, 0, 0, 0, 0, 0, 0, 0, 1]
    nuisance = [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    errors = torch.full((1, 2, 5), 0.4)
    result = one_view(values, nuisance, standard_errors=errors, comparisons=1)[10]
    assert (result.low, result.value, result.high) == (0.0, 0.0, 1.0)
    sharp = one_view(values, nuisance, standard_errors=errors / 10, comparisons=1)[10]
    assert (sharp.low, sharp.value, sharp.high) == (0.0, 0.0, 0.0)


def test_no_standard_error_no_interval():
    assert math.isnan(one_view(range(10), [0] * 10)[10].low)
    unknown = torch.full((1, 2, 5), math.nan)
    assert math.isnan(one_view(range(10), [0] * 10, standard_errors=unknown)[10].high)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), error=st.floats(0, 2), percent=st.sampled_from([5, 10, 20, 30, 50]))
def test_interval_holds_the_estimate_and_lies_in_the_unit_interval(seed, error, percent):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, 4, 5, generator=generator)
    nuisance = (torch.rand(2, 4, 5, generator=generator) < 0.4).float()
    errors = torch.full_like(maps, error)
    result = nuisance_mass_ratios(maps, nuisance, ["a", "b"], [percent], errors, 40)[percent]
    assert -1e-9 <= result.low <= result.value + 1e-9
    assert result.value - 1e-9 <= result.high <= 1 + 1e-9


def test_interval_covers_the_truth_of_a_noisy_map():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(2, 7, 7, generator=generator)
    nuisance = (truth < 0.8).float()  # the true NMR@10 is 0
    assert nuisance_mass_ratios(truth, nuisance, ["a", "b"], [10])[10].value == 0
    covered = 0
    for _ in range(100):
        noisy = truth + 0.4 * torch.randn(2, 7, 7, generator=generator)
        errors = torch.full_like(noisy, 0.4)
        covered += nuisance_mass_ratios(noisy, nuisance, ["a", "b"], [10], errors, 98)[10].low <= 0
    assert covered >= 95


def written_out(values, standard_errors, nuisance, count, comparisons):
    """NMR and its bands by counting, for every position, those that are or may be above it."""
    width = NormalDist().inv_cdf(1 - 0.05 / (2 * comparisons)) * standard_errors.double().flatten()
    lower, upper = values - width, values + width
    surely_above = (lower[:, None] > upper).sum(0)
    maybe_above = (upper[:, None] >= lower).sum(0) - 1  # without the position itself
    sure = maybe_above < count
    possible = (surely_above < count) & ~sure
    ranked, fixed = nuisance[possible].sort().values, float(nuisance[sure].sum())
    missing = min(count - int(sure.sum()), len(ranked))
    low = (fixed + float(ranked[:missing].sum())) / count
    high = (fixed + float(ranked[len(ranked) - missing :].sum())) / count
    return float((top_membership(values, count) * nuisance).sum() / count), low, high


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10_000), error=st.floats(0, 2), levels=st.sampled_from([2, 5, 1000]))
def test_all_k_at_once_equal_each_written_out(seed, error, levels):
    generator = torch.Generator().manual_seed(seed)
    # Few levels tie many positions.
    maps = (torch.rand(2, 3, 5, generator=generator) * levels).round() / levels
    nuisance = (torch.rand(2, 3, 5, generator=generator) * 3).round() / 3
    errors = (error * torch.rand(2, 3, 5, generator=generator)).float()
    for percent, result in nuisance_mass_ratios(
        maps, nuisance, ["a", "b"], (*PERCENTS, 99), errors, 9
    ).items():
        if maps.max() == maps.min():
            assert "constant" in result.reason
            continue
        count = math.ceil(percent / 100 * 30)
        expected = written_out(maps.double().flatten(), errors, nuisance.double().flatten(), count, 9)
        assert (result.value, result.low, result.high) == expected


def drawn(values, nuisance, centre, draws, percents=(50,)):
    """NMR of one view with draws at a size of their own."""
    maps, share = torch.tensor(values)[None], torch.tensor(nuisance)[None]
    known = MapDraws(torch.tensor(centre)[None], torch.tensor(draws)[:, None])
    return nuisance_mass_ratios(maps, share, ["front"], percents, draws=known)


SIDE = [[1.0, 1, 0, 0], [1, 1, 0, 0]]  # nuisance on the left


@pytest.mark.parametrize("count", [1, 2, 3])
def test_draws_that_all_are_the_map_give_a_point(count):
    values = [[9.0, 7, 8, 1], [6, 2, 3, 0]]
    for percent, result in drawn(values, SIDE, values, [values] * count, (10, 30, 50)).items():
        assert result.low == pytest.approx(result.value, abs=1e-6), percent
        assert result.high == pytest.approx(result.value, abs=1e-6), percent


def test_interval_of_draws_by_hand():
    # At 1 x 4 the nuisance is 1, 1, 0, 0 and the top half two positions: the centre's and the draws' NMR are
    # 0.5 | 1, 1, 0.5, 0.5. Their mean of 0.75 is 0.25 above the centre's 0.5.
    draws = [[[4.0, 3, 2, 1]], [[3.0, 4, 2, 1]], [[4.0, 1, 3, 2]], [[1.0, 4, 2, 3]]]
    # At full size the top half is 9, 8, 7, 6, one of them nuisance: 0.25 below the centre's.
    values = [[9.0, 0, 8, 7], [1, 2, 6, 3]]
    result = drawn(values, SIDE, [[4.0, 1, 3, 2]], draws)[50]
    assert result.value == 0.25
    assert result.low == pytest.approx(0.0, abs=1e-6)  # 0.5 - 0.25 for the drift - 0.25 for the size
    assert result.high == pytest.approx(0.75)  # 1 - 0.25 for the size


def test_draws_that_never_meet_the_map_s_own_value_still_hold_it():
    # Every draw has its whole top on nuisance and the map none of it: the moved range is the one that fits.
    values, other = [[0.0, 1, 9, 8], [2, 3, 7, 6]], [[9.0, 8, 0, 1], [7, 6, 2, 3]]
    result = drawn(values, SIDE, values, [other, other])[50]
    assert (result.low, result.value, result.high) == (0.0, 0.0, 1.0)


def test_a_top_that_is_nuisance_in_every_draw_gives_one():
    generator = torch.Generator().manual_seed(0)
    maps = torch.zeros(1, 8, 8)
    maps[:, :, :4] = 5
    nuisance = (maps > 0).float()
    draws = MapDraws(maps, maps + torch.rand(50, 1, 8, 8, generator=generator))
    result = nuisance_mass_ratios(maps, nuisance, ["front"], [30], draws=draws)[30]
    assert result.value == 1
    assert result.low == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_draws_take_the_place_of_bands(count):
    generator = torch.Generator().manual_seed(count)
    maps, nuisance = torch.rand(2, 2, 6, 6, generator=generator)
    known = MapDraws(maps, maps + 0.01 * torch.randn(count, 2, 6, 6, generator=generator))
    unknown = torch.full_like(maps, math.nan)
    result = nuisance_mass_ratios(maps, nuisance, ["a", "b"], [20], unknown, 8, known)[20]
    assert 0 <= result.low <= result.value <= result.high <= 1


def test_draws_that_are_not_finite_give_no_interval():
    result = drawn([[1.0, 2]], [[0.0, 1]], [[1.0, 2]], [[[1.0, math.nan]]])[50]
    assert result.value == 1
    assert math.isnan(result.low)
    assert math.isnan(result.high)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    error=st.floats(0, 2),
    count=st.integers(1, 20),
    percent=st.sampled_from(PERCENTS),
)
def test_interval_of_draws_holds_the_estimate_and_lies_in_the_unit_interval(seed, error, count, percent):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, 8, 9, generator=generator)
    nuisance = (torch.rand(2, 8, 9, generator=generator) < 0.4).float()
    centre = torch.nn.functional.adaptive_avg_pool2d(maps, (4, 3))
    draws = MapDraws(centre, centre + error * torch.randn(count, 2, 4, 3, generator=generator))
    result = nuisance_mass_ratios(maps, nuisance, ["a", "b"], [percent], draws=draws)[percent]
    assert 0 <= result.low <= result.value <= result.high <= 1


def test_wider_draws_give_no_narrower_interval():
    widths = {error: [] for error in (0.05, 0.2, 0.8)}
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        maps = torch.randn(1, 6, 6, generator=generator)
        nuisance = (torch.rand(1, 6, 6, generator=generator) < 0.5).float()
        noise = torch.randn(100, 1, 6, 6, generator=generator)
        for error, found in widths.items():
            draws = MapDraws(maps, maps + error * noise)
            result = nuisance_mass_ratios(maps, nuisance, ["front"], [20], draws=draws)[20]
            found.append(result.high - result.low)
    narrow, middle, wide = (sum(found) for found in widths.values())
    assert 0 < narrow < middle < wide


def test_draws_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\[S, V, a, b\] with S > 0 .* got \[0, 1, 2, 2\] and \[1, 2, 2\]"):
        MapDraws(torch.zeros(1, 2, 2), torch.zeros(0, 1, 2, 2))
    with pytest.raises(ValueError, match=r"got \[3, 2, 2\] and \[1, 2, 2\]"):
        MapDraws(torch.zeros(1, 2, 2), torch.zeros(3, 2, 2))
    with pytest.raises(ValueError, match=r"got \[3, 1, 2, 4\] and \[1, 2, 2\]"):
        MapDraws(torch.zeros(1, 2, 2), torch.zeros(3, 1, 2, 4))
    two = MapDraws(torch.zeros(2, 2, 2), torch.zeros(3, 2, 2, 2))
    with pytest.raises(ValueError, match="the maps' 1 views, got 2"):
        nuisance_mass_ratios(torch.rand(1, 4, 4), torch.zeros(1, 4, 4), ["front"], [10], draws=two)
