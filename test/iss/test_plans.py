# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_iss_ros.iss.plans import AllCoalitions, SingleCells


def everything(plan, cells, pictures, samples, seed=0):
    enumeration = plan.enumerate(cells, pictures, samples, torch.Generator().manual_seed(seed))
    replaced, chosen = enumeration.rows(torch.arange(enumeration.length))
    return enumeration, replaced, chosen


@settings(max_examples=60, deadline=None)
@given(
    cells=st.integers(1, 30), pictures=st.integers(1, 9), samples=st.integers(1, 300), seed=st.integers(0, 99)
)
def test_single_cells_meet_each_picture_once_and_all_in_turn(cells, pictures, samples, seed):
    enumeration, replaced, chosen = everything(SingleCells(), cells, pictures, samples, seed)
    rounds = min(max(samples // cells, 1), pictures)
    assert (enumeration.length, enumeration.round_length) == (rounds * cells, cells)
    assert replaced.dtype == torch.bool
    assert torch.equal(replaced, torch.eye(cells, dtype=torch.bool).repeat(rounds, 1))
    for round_of in chosen.split(cells):
        used = torch.bincount(round_of, minlength=pictures)
        assert used.max() - used.min() <= 1
    met = chosen.view(rounds, cells).T
    assert all(len(row.unique()) == rounds for row in met)


def test_every_picture_comes_first_equally_often():
    first = torch.stack([everything(SingleCells(), 5, 4, 5, seed)[2] for seed in range(2000)])
    share = torch.stack([(first == picture).double().mean(0) for picture in range(4)])
    # Four standard errors of a coin of a quarter, 2,000 seeds.
    assert ((share - 0.25).abs() < 4 * (0.25 * 0.75 / 2000) ** 0.5).all()


@pytest.mark.parametrize(("cells", "pictures"), [(1, 1), (3, 2), (5, 3)])
def test_all_coalitions_come_once_with_every_picture(cells, pictures):
    enumeration, replaced, chosen = everything(AllCoalitions(), cells, pictures, 2)
    assert enumeration.length == enumeration.round_length == 2**cells * pictures
    rows = {(tuple(row), picture) for row, picture in zip(replaced.tolist(), chosen.tolist(), strict=True)}
    assert len(rows) == enumeration.length
    assert set(chosen.tolist()) == set(range(pictures))


def test_what_is_too_much_is_told():
    AllCoalitions().check(16, 1)
    AllCoalitions().check(12, 24)
    with pytest.raises(
        ValueError,
        match=r"^exact enumerates 2\^C coalitions and takes at most 16 cells, got 98; "
        "set grid to 2 or use another estimator$",
    ):
        everything(AllCoalitions(), 98, 1, 100)
    with pytest.raises(
        ValueError,
        match=r"^exact runs 4096 coalitions with each of 25 baseline pictures and takes at most 100000 "
        "evaluations, got 102400; lower grid, use fewer donors or another estimator$",
    ):
        AllCoalitions().check(12, 25)
