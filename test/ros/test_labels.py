# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
from harness import SECOND

from vla_iss_ros.ros import labels
from vla_iss_ros.ros.labels import KEPT, LabelImages

STAMPS = {"front": 10 * SECOND, "wrist": 10 * SECOND}


@pytest.fixture(autouse=True)
def _never_wait(monkeypatch):
    monkeypatch.setattr(labels, "GRACE", 0.0)


def test_label_images_are_found_by_stamp_within_the_slop():
    images = LabelImages(("front", "wrist"), 0.05)
    images.add("front", 10 * SECOND, "exact")
    images.add("front", 10 * SECOND + 40_000_000, "near")
    images.add("wrist", 10 * SECOND + 60_000_000, "too far")
    assert images.find(STAMPS) == {"front": "exact"}
    assert images.matched == {"front": True, "wrist": False}


def test_without_any_label_image_nothing_is_found_and_nothing_expected(monkeypatch):
    monkeypatch.setattr(labels, "GRACE", 1e6)
    assert LabelImages(("front", "wrist"), 0.05).find(STAMPS) == {}


def test_a_stream_that_stopped_is_waited_for_once_only(monkeypatch):
    images = LabelImages(("front",), 0.05)
    images.add("front", 9 * SECOND, "old")
    assert images.find({"front": 10 * SECOND}) == {}
    monkeypatch.setattr(labels, "GRACE", 1e6)
    assert images.find({"front": 11 * SECOND}) == {}


def test_only_the_newest_are_kept():
    images = LabelImages(("front",), 0.0)
    for step in range(KEPT + 1):
        images.add("front", step, step)
    assert images.find({"front": 0}) == {}
    assert images.find({"front": 1}) == {"front": 1}
    assert images.received == {"front": KEPT + 1}


@pytest.mark.parametrize("stamp", [0, 10 * SECOND])
def test_of_equally_near_ones_the_newest_is_found(stamp):
    images = LabelImages(("front",), 0.05)
    for order in range(KEPT + 3):
        images.add("front", stamp, order)
        assert images.find({"front": stamp}) == {"front": order}
    images.add("front", stamp + 1, "newer and less near")
    assert images.find({"front": stamp}) == {"front": KEPT + 2}


def test_of_one_before_and_one_after_the_newest_is_found():
    images = LabelImages(("front",), 0.05)
    images.add("front", 10 * SECOND + 1000, "after")
    images.add("front", 10 * SECOND - 1000, "before")
    assert images.find({"front": 10 * SECOND}) == {"front": "before"}
