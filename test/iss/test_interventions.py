# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
import torch

from vla_iss_ros.iss import interventions
from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.observation import Prepared


def picture(seed: int = 0, size: int = 32) -> torch.Tensor:
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sigma", [1.0, 2.9, 5.0])
def test_blur_equals_opencv(sigma):
    image = picture()
    blurred = interventions.Blur(sigma / 32).pictures(Prepared({"front": image}), "")["front"]
    side = 2 * round(3 * sigma) + 1
    expected = cv2.GaussianBlur(image[0].permute(1, 2, 0).numpy(), (side, side), sigma)
    np.testing.assert_allclose(blurred[0].permute(1, 2, 0), expected, atol=1e-5)


def test_blur_wider_than_the_view_stays_defined():
    blurred = interventions.Blur(1.0).pictures(Prepared({"front": picture()}), "")["front"]
    assert torch.isfinite(blurred).all()


def test_mean_colour_is_flat_and_per_view():
    image = torch.zeros(1, 3, 4, 4)
    image[:, 0, :2] = 1.0
    flat = interventions.MeanColour().pictures(Prepared({"front": image}), "")["front"]
    assert torch.equal(flat[0, 0], torch.full((4, 4), 0.5))
    assert torch.equal(flat[0, 1], torch.zeros(4, 4))


def test_donor_needs_frames():
    with pytest.raises(ValueError, match="at least one donor frame, got none"):
        interventions.Donor([], [])


def test_donor_of_another_size_is_refused():
    donor = interventions.Donor([Prepared({"front": picture(size=16)})], ["press"])
    with pytest.raises(ValueError, match=r"camera 'front' must be \[3, 32, 32\], got \[3, 16, 16\]"):
        donor.pictures(Prepared({"front": picture()}), "press")


def test_donors_of_the_same_instruction_are_preferred_where_there_are_enough():
    prepared = [Prepared({"front": picture(seed)}) for seed in range(5)]
    donor = interventions.Donor(prepared, ["press", "pull", "press", "press", "pull"])
    here = Prepared({"front": picture(9)})
    same = donor.pictures(here, "press")["front"]
    assert torch.equal(same, torch.cat([picture(0), picture(2), picture(3)]))
    assert len(donor.pictures(here, "pull")["front"]) == 5  # two are too few
    assert len(donor.pictures(here, "wave")["front"]) == 5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_composite_by_hand(count):
    image, pictures = torch.zeros(1, 3, 1, 2), torch.tensor([1.0, 0.5]).view(2, 1, 1, 1).expand(2, 3, 1, 2)
    coverage = torch.tensor([0.0, 0.25]).view(1, 1, 1, 2).expand(count, 1, 1, 2)
    chosen = torch.arange(count) % 2
    mixed = interventions.composite(image, pictures - image, chosen, coverage, quantise=False)
    assert mixed.shape == (count, 3, 1, 2)
    for row in range(count):
        assert mixed[row, 0, 0].tolist() == pytest.approx([0.0, 0.25 if row % 2 == 0 else 0.125])


def test_no_coverage_leaves_the_image_bit_for_bit():
    image, donors = picture(1), torch.cat([picture(2), picture(3)])
    mixed = interventions.composite(
        image, donors - image, torch.tensor([0, 1, 1]), torch.zeros(3, 1, 32, 32), False
    )
    assert torch.equal(mixed, image.expand(3, -1, -1, -1))


def test_quantise_cuts_to_eight_bits():
    image = torch.full((1, 3, 1, 1), 100.9 / 255)
    mixed = interventions.composite(
        image, torch.zeros_like(image), torch.tensor([0]), torch.ones(1, 1, 1, 1), quantise=True
    )
    assert mixed[0, 0, 0, 0] * 255 == pytest.approx(100.0, abs=1e-4)


def test_pictures_are_used_equally_often():
    chosen = interventions.choose_pictures(32, 5, torch.Generator().manual_seed(0))
    counts = torch.bincount(chosen, minlength=5)
    assert counts.min() >= 6
    assert counts.max() <= 7


@pytest.mark.parametrize("count", [1, 2, 3])
def test_products_of_changes(count):
    prepared = Prepared({"front": picture(1, 12), "wrist": picture(2, 12)})
    pictures = {
        name: torch.cat([picture(10 * view + each, 12) for each in range(count)])
        for view, name in enumerate(prepared.images, start=1)
    }
    products = interventions.products(prepared, pictures, CellGrid.over(prepared, 3))
    assert products.shape == (18, count, count)
    # Cell 9 + 3 is row 1, column 0 of the second view.
    change = (pictures["wrist"] - prepared.images["wrist"])[:, :, 4:8, :4].flatten(1)
    torch.testing.assert_close(products[12], change @ change.T / 48)
    for view, name in enumerate(prepared.images):
        squares = (pictures[name] - prepared.images[name]).square().mean((0, 1))[None]
        expected = torch.nn.functional.adaptive_avg_pool2d(squares, 3).flatten()
        diagonal = products[9 * view : 9 * view + 9].diagonal(dim1=1, dim2=2).mean(1)
        torch.testing.assert_close(diagonal, expected)
