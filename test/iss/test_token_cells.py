# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from token_toys import GRID, WORDS, TokenToy, token_frame
from torch.nn import functional

from vla_iss_ros.iss.token_cells import TokenCells, TokenView
from vla_iss_ros.iss.tokens import CAMERA, TEMPLATE, Encoded, Segment


def one_camera(grid: tuple[int, int], content: tuple[float, ...] | None = None, block: int = 1) -> TokenCells:
    count = grid[0] * grid[1]
    segment = Segment(CAMERA, 0, count, "front", grid, content)
    return TokenCells.over(Encoded(torch.zeros(1, count, 2), (segment,)), block)


@pytest.fixture
def cells() -> TokenCells:
    toy = TokenToy()
    return TokenCells.over(toy.encode(toy.preprocess(token_frame(0))), 2)


def test_blocks_of_every_camera_then_words(cells):
    assert (cells.image_count, cells.count) == (18, 22)
    assert cells.names == ("front", "wrist")
    assert cells.words == WORDS
    assert cells.positions[9].tolist() == [1, 0, 0]
    assert cells.positions[-4:, 0].tolist() == [2, 2, 2, 2]


def test_a_cell_replaces_its_tokens_and_no_others(cells):
    replaced = torch.zeros(2, cells.count, dtype=torch.bool)
    replaced[0, 4], replaced[1, 18 + 2] = True, True
    tokens = cells.tokens(replaced)
    # Row 1, column 1 of blocks: rows 2 and 3, columns 2 and 3 of the front camera, behind the template's token.
    assert tokens[0].nonzero().flatten().tolist() == [
        1 + 2 * 6 + 2,
        1 + 2 * 6 + 3,
        1 + 3 * 6 + 2,
        1 + 3 * 6 + 3,
    ]
    words = 1 + 2 * GRID**2
    assert tokens[1].nonzero().flatten().tolist() == [words + 4, words + 5]


def test_template_state_and_padding_are_never_replaced(cells):
    everything = cells.tokens(torch.ones(1, cells.count, dtype=torch.bool))[0]
    assert not everything[0]
    assert everything[1:-2].all()
    assert not everything[-2:].any()


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 30), st.integers(1, 30))
def test_maps_of_single_tokens_are_bilinear_upsampling(rows, columns, block, height, width):
    cells = one_camera((rows * block, columns * block), block=block)
    values = torch.rand(2, cells.count, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(
        values.view(2, 1, rows, columns), size=(height, width), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(cells.maps(values, (height, width)), expected, atol=1e-5, rtol=1e-5)


def test_letterbox_is_undone_and_padding_dropped():
    # A 2:1 image in the middle rows of an 8 x 8 grid.
    cells = one_camera((8, 8), (2.0, 0.0, 4.0, 8.0))
    assert cells.count == 32
    assert cells.tokens(torch.ones(1, 32, dtype=torch.bool))[0].nonzero().flatten().tolist() == list(
        range(16, 48)
    )
    values = torch.zeros(1, 32)
    values[0, 8 + 5] = 1.0  # second row of the image, sixth column
    picture = cells.maps(values, (40, 80))[0, 0]
    row, column = divmod(int(picture.argmax()), 80)
    assert 10 <= row < 20
    assert 50 <= column < 60


def test_a_letterbox_between_tokens_keeps_those_whose_centre_shows_the_image():
    view = TokenView.of(Segment(CAMERA, 0, 64, "front", (8, 8), (1.75, 0.0, 4.5, 8.0)), 1)
    assert (view.first, view.last) == ((2, 0), (6, 8))
    # The second token's centre lies at (3.5 - 1.75) / 4.5 of the image's height.
    peak = int(view.interpolation(0, 450)[:, 1].argmax())
    assert peak == pytest.approx(175, abs=1)


def test_odd_blocks_at_the_edge_keep_their_place():
    cells = one_camera((5, 5), block=2)
    assert cells.count == 9
    down = cells.views[0].interpolation(0, 50)
    assert int(down[:, 1].argmax()) == pytest.approx(30, abs=1)  # rows 2 and 3 of 5
    torch.testing.assert_close(down.sum(1), torch.ones(50))


def test_mean_over_tokens_by_hand():
    cells = one_camera((2, 4), block=2)
    assert cells.means(torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8])).tolist() == [3.5, 5.5]


def test_a_policy_without_images_is_refused():
    encoded = Encoded(torch.zeros(1, 1, 2), (Segment(TEMPLATE, 0, 1),))
    with pytest.raises(ValueError, match="set space to pixel"):
        TokenCells.over(encoded, 1)


def test_content_without_a_token_is_refused():
    with pytest.raises(ValueError, match="no token of camera 'front'"):
        one_camera((2, 2), (0.6, 0.0, 0.3, 2.0))


def test_other_numbers_of_values_are_refused(cells):
    with pytest.raises(ValueError, match=r"must be \[M, 22\]"):
        cells.maps(torch.zeros(1, 21), (8, 8))
