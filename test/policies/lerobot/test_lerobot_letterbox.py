# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The boxes that images fill, by hand."""

import pytest
import torch

from vla_iss_ros.policies.lerobot.letterbox import Letterbox, Native


@pytest.mark.parametrize(
    ("centred", "size", "box"),
    [
        (True, (480, 640), (28, 0, 168, 224)),  # 224 * 480 / 640 = 168, 28 above and below
        (False, (480, 640), (56, 0, 168, 224)),
        (True, (640, 480), (0, 28, 224, 168)),
        (False, (640, 480), (0, 56, 224, 168)),
        (True, (224, 224), (0, 0, 224, 224)),
        (True, (100, 300), (75, 0, 74, 224)),  # 74.67 rounded down; the odd line is below
    ],
)
def test_the_box_of_an_image(centred, size, box):
    rule = Letterbox((224, 224), centred)
    assert rule.content(*size) == box
    image = rule(torch.ones(1, 3, *size))
    top, left, height, width = box
    assert image.shape == (1, 3, 224, 224)
    inside = torch.zeros(224, 224)
    inside[top : top + height, left : left + width] = 1
    torch.testing.assert_close(image[0, 0], inside)


def test_an_image_that_is_too_narrow_is_refused():
    with pytest.raises(ValueError, match="image of 1 x 1000 leaves no pixel"):
        Letterbox((224, 224), True).content(1, 1000)


def test_native_images_are_left_alone_or_averaged():
    rule = Native((2, 4), "front")
    image = torch.arange(8.0).view(1, 1, 2, 4)
    assert rule(image) is image
    larger = image.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(rule(larger), image)
    with pytest.raises(ValueError, match="camera 'front' gives 4 x 4, the policy was trained on 2 x 4"):
        rule(torch.zeros(1, 1, 4, 4))
