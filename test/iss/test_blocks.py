# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch

from vla_iss_ros.iss.blocks import make_blocks
from vla_iss_ros.iss.designs import Balanced
from vla_iss_ros.iss.plans import AllCoalitions, SingleCells


def blocks(plan, samples, block_size, cells=5, pictures=3):
    settings = SimpleNamespace(samples=samples, block_size=block_size, keep_probability=0.3)
    return list(make_blocks(plan, Balanced(), settings, cells, pictures, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("samples", "lengths"),
    [(96, [32, 32, 32]), (32, [32]), (47, [47]), (48, [32, 16]), (79, [32, 47]), (80, [32, 32, 16])],
)
def test_a_last_block_is_never_less_than_half(samples, lengths):
    drawn = blocks(None, samples, 32)
    assert [len(block.replaced) for block in drawn] == [len(block.chosen) for block in drawn] == lengths
    assert [block.may_stop for block in drawn] == [True] * (len(lengths) - 1) + [False]


@pytest.mark.parametrize(
    ("block_size", "lengths"), [(5, [5]), (64, [5]), (4, [2, 3]), (3, [2, 3]), (2, [1, 2, 2])]
)
def test_rounds_are_cut_into_equal_blocks_and_may_stop_between_rounds(block_size, lengths):
    drawn = blocks(SingleCells(), 12, block_size)
    assert [len(block.chosen) for block in drawn] == lengths * 2
    inside = [False] * (len(lengths) - 1)
    assert [block.may_stop for block in drawn] == [*inside, True, *inside, False]


@pytest.mark.parametrize("plan", [SingleCells(), AllCoalitions()])
@pytest.mark.parametrize("block_size", [2, 3, 7])
def test_the_list_does_not_depend_on_how_it_is_cut(plan, block_size):
    whole, parts = blocks(plan, 15, 4096), blocks(plan, 15, block_size)
    for name in ("replaced", "chosen"):
        assert torch.equal(
            torch.cat([getattr(block, name) for block in whole]),
            torch.cat([getattr(block, name) for block in parts]),
        )


def test_all_coalitions_may_never_stop_early():
    drawn = blocks(AllCoalitions(), 2, 10)
    assert sum(len(block.chosen) for block in drawn) == 2**5 * 3
    assert not any(block.may_stop for block in drawn)
