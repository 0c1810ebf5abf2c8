# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read the last images of cameras that are missing, and let them stand in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vla_iss_ros.bags.missing_cameras import StandIn
from vla_iss_ros.bags.reader import Bag, Stretch
from vla_iss_ros.bags.synchronising import PATIENCE, Partners, Stamped, readable


class _Last(NamedTuple):
    """A camera's last image, and the label message that belongs to it, if any."""

    image: Stamped
    labels: Any | None


class LastImages:
    """What stands in at the instants of one stretch of a bag."""

    def __init__(
        self,
        bag: Bag,
        stand_ins: Sequence[StandIn],
        images: Mapping[str, str],
        labels: Mapping[str, str],
        slop: int,
    ) -> None:
        """Read the images of ``stand_ins`` and the labels within ``slop`` ns of them.

        ``images`` and ``labels``: topics by camera. An image that cannot be read stands in for nothing; it is counted
        where it belongs.
        """
        wanted = {(each.camera, each.logged) for each in stand_ins}
        read = {
            (camera, logged): _read(bag, images[camera], labels.get(camera, ""), logged, slop)
            for camera, logged in sorted(wanted)
        }
        self._last: dict[int, dict[str, _Last]] = {}
        for at, camera, logged in stand_ins:
            last = read[camera, logged]
            if last is not None:
                self._last.setdefault(at, {})[camera] = last

    def stand_in(self, image: Stamped, partners: Partners, after: int) -> frozenset[str]:
        """Put what stands in at ``image`` among its ``partners``; return the cameras that it stands in for.

        Only images whose own stamps too are more than ``after`` ns behind.
        """
        stood_in = set()
        for camera, last in self._last.get(image.logged, {}).items():
            if ("image", camera) in partners or image.stamp - last.image.stamp <= after:
                continue
            stood_in.add(camera)
            partners["image", camera] = last.image.message
            partners.pop(("labels", camera), None)
            if last.labels is not None:
                partners["labels", camera] = last.labels
        return frozenset(stood_in)


def _read(bag: Bag, image_topic: str, label_topic: str, logged: int, slop: int) -> _Last | None:
    image = next(readable(bag, image_topic, Stretch(logged, logged + 1)), None)
    if image is None:
        return None
    found = readable(bag, label_topic, Stretch(logged, logged + 1, PATIENCE + slop))
    near = [each for each in found if abs(each.stamp - image.stamp) <= slop]
    nearest = min(near, key=lambda each: abs(each.stamp - image.stamp), default=None)
    return _Last(image, nearest and nearest.message)
