import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_iss_ros.iss.nmr import nuisance_mass_ratios, top_membership, undefined


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
