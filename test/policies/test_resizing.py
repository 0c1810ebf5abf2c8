# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vla_iss_ros.policies.resizing import Resize, area_of_bytes

COLUMNS = torch.tensor([0.0, 0.2, 0.4, 1.0]).expand(1, 3, 2, 4)


def test_area_averages_what_each_pixel_covers():
    small = Resize((1, 2), "area")(COLUMNS)
    torch.testing.assert_close(small, torch.tensor([0.1, 0.7]).expand(1, 3, 1, 2))


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 16), st.integers(1, 16), st.integers(0, 2**32 - 1)
)
def test_area_of_bytes_is_the_area_rule(height, width, rows, columns, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    found = area_of_bytes(image, (rows, columns))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, Resize((rows, columns), "area")(pixels), rtol=0, atol=1e-6)


def test_area_of_bytes_holds_for_images_whose_sum_exceeds_32_bits():
    white = np.full((4800, 6400, 3), 255, np.uint8)
    assert area_of_bytes(white, (2, 2)).unique().tolist() == [1.0]


def test_area_of_bytes_takes_a_part_of_a_larger_picture():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    whole = area_of_bytes(np.ascontiguousarray(image[1:3, 2:4]), (1, 1))
    torch.testing.assert_close(area_of_bytes(image[1:3, 2:4], (1, 1)), whole)


def test_bilinear_takes_no_mean_of_what_it_skips():
    # Output centres lie at 1.5 - 0.5 = 1.0 and so on of the input: 4 -> 1 samples between the middle two.
    torch.testing.assert_close(Resize((1, 1), "bilinear")(COLUMNS)[0, 0], torch.tensor([[0.3]]))
    torch.testing.assert_close(Resize((1, 1), "area")(COLUMNS)[0, 0], torch.tensor([[0.4]]))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_letterbox_fills_its_box_and_pads_around(count):
    images = torch.full((count, 3, 4, 8), 0.75)
    boxed = Resize((4, 4), "letterbox", (1, 0, 2, 4), 0.5)(images)
    assert boxed.shape == (count, 3, 4, 4)
    assert boxed[:, :, 1:3].unique().tolist() == [0.75]
    assert boxed[:, :, [0, 3]].unique().tolist() == [0.5]
    left = Resize((2, 8), "letterbox", (0, 4, 2, 4))(images)
    assert left[0, 0, 0].tolist() == [0, 0, 0, 0, 0.75, 0.75, 0.75, 0.75]


def test_letterbox_refuses_other_proportions():
    resize = Resize((64, 64), "letterbox", (8, 0, 48, 64))
    resize(torch.zeros(1, 3, 480, 640))
    resize(torch.zeros(1, 3, 470, 640))  # 47 rows: rounding
    with pytest.raises(
        ValueError, match="content of 48 x 64 does not fit an image of 360 x 640; set content"
    ):
        resize(torch.zeros(1, 3, 360, 640))
