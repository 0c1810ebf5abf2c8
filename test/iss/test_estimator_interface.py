# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from vla_iss_ros.iss.estimators import REGISTRY
from vla_iss_ros.iss.estimators.interface import Samples
from vla_iss_ros.iss.estimators.spatial import Spatial

CELLS, OUTPUTS = 5, 4


def draw(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(count, CELLS, generator=generator) < 0.5,
        torch.rand(count, generator=generator),
        torch.randint(3, (count,), generator=generator),
        torch.randn(count, OUTPUTS, generator=generator),
    )


@pytest.mark.parametrize("lengths", [[1] * 300, [2] * 150, [3] * 100, [1, 2, 3] * 50, [200, 1, 2, 97], [300]])
def test_many_blocks_are_kept_in_order(lengths):
    drawn = draw(300)
    samples = Samples()
    for part in zip(*(each.split(lengths) for each in drawn), strict=True):
        samples.add(*part)
    replaced, delta, pictures = samples.together()
    assert (replaced.dtype, delta.dtype, pictures.dtype) == (torch.float64, torch.float64, torch.int64)
    assert torch.equal(replaced, drawn[0].double())
    assert torch.equal(delta, drawn[1].double())
    assert torch.equal(pictures, drawn[2])
    assert torch.equal(samples.moves(), drawn[3].double())
    assert samples.block_lengths == lengths


def test_what_was_handed_out_stays_as_it_was():
    samples = Samples()
    samples.add(*draw(3))
    before = [each.clone() for each in (*samples.together(), samples.moves())]
    handed = (*samples.together(), samples.moves())
    for seed in range(100):
        samples.add(*draw(2, seed))
    assert all(torch.equal(one, other) for one, other in zip(handed, before, strict=True))
    for each in handed:
        each.zero_()
    after = (*samples.together(), samples.moves())
    assert all(torch.equal(one[:3], other) for one, other in zip(after, before, strict=True))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_without_pictures_it_was_the_first(count):
    samples = Samples()
    samples.add(*draw(count)[:2], None)
    assert samples.together()[2].tolist() == [0] * count
    with pytest.raises(ValueError, match="give update the moves"):
        samples.moves()


def test_one_block_without_moves_is_enough_to_have_none():
    samples = Samples()
    samples.add(*draw(2))
    samples.add(*draw(2)[:3])
    samples.add(*draw(2))
    with pytest.raises(ValueError, match="give update the moves"):
        samples.moves()


def test_blocks_may_come_inside_and_outside_of_inference_mode():
    samples = Samples()
    with torch.inference_mode():
        samples.add(*draw(2))
    samples.add(*draw(200))
    with torch.inference_mode():
        samples.add(*draw(2))
    assert samples.block_lengths == [2, 200, 2]


def test_blocks_that_do_not_fit_are_refused_and_leave_nothing_behind():
    samples = Samples()
    with pytest.raises(ValueError, match="no samples yet"):
        samples.together()
    with pytest.raises(ValueError, match="no samples yet"):
        samples.moves()
    samples.add(*draw(2))
    replaced, delta, pictures, moves = draw(3)
    with pytest.raises(ValueError, match="same cells, got one of 4 after others"):
        samples.add(replaced[:, :4], delta, pictures, moves)
    with pytest.raises(ValueError, match=r"\[3, TA\] with one TA for all blocks, got \[3, 2\]"):
        samples.add(replaced, delta, pictures, moves[:, :2])
    with pytest.raises(ValueError, match=r"\[3, TA\] .* got \[2, 4\]"):
        samples.add(replaced, delta, pictures, moves[:2])
    with pytest.raises(ValueError, match="must be finite"):
        samples.add(replaced, delta * math.nan, pictures, moves)
    assert samples.block_lengths == [2]
    assert len(samples.together()[0]) == len(samples.moves()) == 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_changes_are_the_root_of_the_mean_square_over_pictures(count):
    changes = torch.rand(6, count, 7)
    products = changes @ changes.mT / 7
    estimator = Spatial(0.5, True, None, products, count)
    torch.testing.assert_close(estimator.changes, changes.square().mean((1, 2)).sqrt())


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_products_that_do_not_fit_are_refused(name):
    assert REGISTRY[name](0.5, True).changes is None
    with pytest.raises(ValueError, match=r"products must be \[C, D, D\], got \[6\]"):
        REGISTRY[name](0.5, True, None, torch.ones(6))
    with pytest.raises(ValueError, match=r"got \[6, 2, 3\]"):
        REGISTRY[name](0.5, True, None, torch.ones(6, 2, 3))
