# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch
from checked_policy import BOX, CheckedPolicy, see

from vla_iss_ros.analysis.policy_geometry import check_alignment, check_polarity
from vla_iss_ros.analysis.policy_subject import Subject
from vla_iss_ros.iss.observation import Prepared
from vla_iss_ros.policies.resizing import Resize


def subject(policy, size=(120, 160)):
    return Subject(policy, [see(0, size), see(1, size)], 1e-3, lambda: 0.0)


def changed(change):
    """Return a policy whose preprocessed images [1, 3, 16, 16] go through ``change``."""

    class Changed(CheckedPolicy):
        def preprocess(self, observation):
            prepared = super().preprocess(observation)
            return dataclasses.replace(prepared, images=change(dict(prepared.images)))

    return Changed()


def each(change):
    return changed(lambda images: {name: change(image) for name, image in images.items()})


@pytest.mark.parametrize("rule", ["area", "bilinear"])
@pytest.mark.parametrize("size", [(48, 64), (240, 320), (480, 640)])
def test_squares_are_where_the_cells_say(rule, size):
    class Whole(CheckedPolicy):
        def __init__(self):
            super().__init__()
            self.resize_rule = Resize((32, 48), rule)

        def preprocess(self, observation):
            return dataclasses.replace(super().preprocess(observation), content={})

    check = check_alignment(subject(Whole(), size))
    assert (check.status, check.remedy) == ("pass", "")
    assert check.values["offset"] <= 1


def test_letterboxes_are_undone():
    assert check_alignment(subject(CheckedPolicy())).status == "pass"


def test_a_letterbox_that_is_not_told_is_found():
    class Silent(CheckedPolicy):
        def preprocess(self, observation):
            prepared = super().preprocess(observation)
            return Prepared(prepared.images, prepared.inputs)

    check = check_alignment(subject(Silent()))
    assert check.status == "FAIL"
    # Content is 12 of 16 rows from row 2: at the top tenth 2 + 0.15 * 12 = 3.8 instead of 0.15 * 16 = 2.4.
    assert 1 < check.values["offset"] < 2.5
    assert "tell in Prepared.content" in check.remedy


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.flip(-1),
        lambda image: image.flip(-2),
        lambda image: image.transpose(-1, -2),
        lambda image: image.roll(3, -1),
    ],
    ids=["mirrored", "upside down", "turned", "shifted"],
)
def test_moved_pictures_are_found(change):
    check = check_alignment(subject(each(change)))
    assert check.status == "FAIL"
    assert check.values["offset"] > 1


def test_a_change_elsewhere_is_found():
    """The brightness of the whole picture is taken out of every pixel."""
    check = check_alignment(subject(each(lambda image: image - image.mean((1, 2, 3), keepdim=True))))
    assert check.status == "FAIL"
    assert check.values["stray"] > 0.3


def test_cropped_pictures_are_found():
    def crop(image):
        image = image.clone()
        image[..., :8] = 0.5
        return image

    check = check_alignment(subject(each(crop)))
    assert (check.status, "does not appear" in check.figure) == ("FAIL", True)


def test_cameras_that_are_mixed_up_are_found():
    check = check_alignment(
        subject(changed(lambda images: {"front": images["wrist"], "wrist": images["front"]}))
    )
    assert (check.status, check.figure) == ("FAIL", "a square before camera 'front' appears in 'wrist'")


def test_polarity_of_a_sound_policy_and_of_one_that_sees_negatives():
    class Negatives(CheckedPolicy):
        def run_pixels(self, base, images, noise):
            return super().run_pixels(base, {name: 1 - rows for name, rows in images.items()}, noise)

    assert check_polarity(subject(CheckedPolicy())).values["difference"] < 1e-5
    assert check_polarity(subject(Negatives())).status == "FAIL"


def test_content_is_the_box_of_the_toy():
    """The hand-worked figures above rest on it."""
    assert BOX == (2, 0, 12, 16)
    assert torch.equal(CheckedPolicy().preprocess(see()).images["front"][0, 0, 0], torch.full((16,), 0.5))
