# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
import torch

from vla_iss_ros.iss.cells import CellGrid, View
from vla_iss_ros.iss.observation import Prepared


def make_grid(stitched: bool = False, size: int = 28, views: int = 2, side: int = 7) -> CellGrid:
    prepared = Prepared({f"camera{index}": torch.zeros(1, 3, size, size) for index in range(views)})
    return CellGrid.over(prepared, side, stitched)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_coverage_is_bilinear_upsampling_per_view(count):
    grid = make_grid()
    replaced = torch.rand(count, grid.count, generator=torch.Generator().manual_seed(0)) < 0.5
    coverage = grid.coverage(replaced)
    for row in range(count):
        for index, name in enumerate(grid.names):
            cells = replaced[row].view(2, 7, 7)[index].numpy().astype(np.float32)
            expected = cv2.resize(cells, (28, 28), interpolation=cv2.INTER_LINEAR)
            np.testing.assert_allclose(coverage[name][row, 0], expected, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_stitched_coverage_bleeds_over_the_seam_as_the_published_code(count):
    grid = make_grid(stitched=True)
    replaced = torch.rand(count, grid.count, generator=torch.Generator().manual_seed(1)) < 0.5
    coverage = grid.coverage(replaced)
    for row in range(count):
        left, right = replaced[row].view(2, 7, 7).numpy().astype(np.float32)
        picture = cv2.resize(np.hstack([left, right]), (56, 28), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(coverage["camera0"][row, 0], picture[:, :28], atol=1e-6)
        np.testing.assert_allclose(coverage["camera1"][row, 0], picture[:, 28:], atol=1e-6)


def test_all_or_nothing_is_exact():
    grid = make_grid()
    both = grid.coverage(torch.tensor([[0.0], [1.0]]).expand(2, grid.count))
    assert torch.equal(both["camera0"][0], torch.zeros(1, 28, 28))
    assert torch.equal(both["camera1"][1], torch.ones(1, 28, 28))


@pytest.mark.parametrize("stitched", [False, True])
def test_maps_of_cells_equal_maps_accumulated_over_pixels(stitched):
    grid = make_grid(stitched)
    generator = torch.Generator().manual_seed(2)
    replaced = (torch.rand(20, grid.count, generator=generator) < 0.5).float()
    weights = torch.rand(20, generator=generator)
    coverage = grid.coverage(replaced)
    maps = grid.maps((weights @ replaced)[None], (28, 28))[0]
    for index, name in enumerate(grid.names):
        accumulated = (weights[:, None, None] * coverage[name][:, 0]).sum(0)
        torch.testing.assert_close(maps[index], accumulated, atol=1e-4, rtol=1e-5)


def test_letterbox_keeps_padding_and_covers_content():
    prepared = Prepared({"front": torch.zeros(1, 3, 32, 32)}, content={"front": (8, 0, 16, 32)})
    coverage = CellGrid.over(prepared, 4).coverage(torch.ones(1, 16))["front"][0, 0]
    assert coverage.shape == (32, 32)
    assert coverage[8:24].min() == 1
    assert coverage[:8].max() == 0
    assert coverage[24:].max() == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_letterbox_by_hand(count):
    # Two columns over a content of four pixels: bilinear weights 1, 3/4, 1/4, 0 for the left one.
    prepared = Prepared({"front": torch.zeros(1, 3, 2, 6)}, content={"front": (0, 1, 1, 4)})
    spread = CellGrid((View("front", 2, 6, (0, 1, 1, 4)),), 1, 2).spread(torch.device("cpu"))
    assert CellGrid.over(prepared, 2).views == (View("front", 2, 6, (0, 1, 1, 4)),)
    for _ in range(2):  # made once for many calls
        coverage = spread(torch.tensor([[True, False], [False, False], [True, True]])[:count])["front"]
        expected = [[0, 1, 0.75, 0.25, 0, 0], [0] * 6, [0, 1, 1, 1, 1, 0]][:count]
        assert coverage[:, 0, 0].tolist() == expected
        assert (coverage[:, 0, 1] == 0).all()


def test_products_by_hand():
    grid = make_grid()
    pictures = {"camera0": torch.zeros(2, 1, 28, 28), "camera1": torch.ones(2, 1, 28, 28)}
    pictures["camera0"][0, 0, 4:8, 8:10] = 2  # half of row 1, column 2
    pictures["camera0"][1, 0, 4:6, 8:12] = 3  # another half of it: a quarter lies in both
    products = grid.products(pictures)
    assert products.shape == (98, 2, 2)
    assert products[1 * 7 + 2].tolist() == [[2, 1.5], [1.5, 4.5]]
    assert products[:49].sum() == 9.5
    assert (products[49:] == 1).all()


@pytest.mark.parametrize("stitched", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(("size", "side"), [((7, 5), 3), ((9, 8), 4), ((2, 3), 5), ((6, 6), 1)])
def test_products_equal_pooled_pairs(size, side, count, stitched):
    """Also where the grid does not divide the view, and where a cell is smaller than a pixel."""
    generator = torch.Generator().manual_seed(count)
    pictures = {name: torch.randn(count, 3, *size, generator=generator) for name in ("front", "wrist")}
    images = {name: torch.zeros(1, 3, *size) for name in pictures}
    products = CellGrid.over(Prepared(images), side, stitched).products(pictures)
    for first in range(count):
        for second in range(count):
            pooled = [
                torch.nn.functional.adaptive_avg_pool2d((each[first] * each[second]).mean(0)[None], side)
                for each in pictures.values()
            ]
            torch.testing.assert_close(products[:, first, second], torch.cat(pooled).flatten())


def test_products_leave_the_padding_out():
    prepared = Prepared({"front": torch.zeros(1, 3, 4, 4)}, content={"front": (1, 0, 2, 4)})
    pictures = torch.full((1, 3, 4, 4), 9.0)
    pictures[:, :, 1:3] = torch.tensor([1.0, 1, 2, 2])
    assert CellGrid.over(prepared, 2).products({"front": pictures}).flatten().tolist() == [1, 4, 1, 4]


def test_cells_are_numbered_by_view_row_column():
    grid = make_grid()
    values = torch.arange(98.0)
    split = grid.by_view(values)
    assert split["camera0"][0, 1] == 1
    assert split["camera0"][1, 0] == 7
    assert split["camera1"][0, 0] == 49


def test_wrong_number_of_cells_is_refused():
    with pytest.raises(ValueError, match=r"\[N, 98\], got \[1, 97\]"):
        make_grid().coverage(torch.zeros(1, 97))


def test_stitching_views_of_two_sizes_is_refused():
    views = (View("a", 28, 28, (0, 0, 28, 28)), View("b", 28, 14, (0, 0, 28, 14)))
    with pytest.raises(ValueError, match="stitched needs views of one size"):
        CellGrid(views, 7, 7, stitched=True)


def test_a_grid_without_cells_is_refused():
    with pytest.raises(ValueError, match="at least one cell a view, got 0 x 7"):
        CellGrid((), 0, 7)
