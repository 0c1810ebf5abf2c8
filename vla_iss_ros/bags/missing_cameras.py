# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What stands in for a camera that is missing from a stretch of a bag; found by log stamps before images are read.

The rule is that of the nodes (``missing_camera`` and ``missing_camera_after``): the last image of a camera stands in
once it is further behind the others than this, in frames that another camera sets the instants of if need be. A camera
that has had no image yet has none that could stand in.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Instant(NamedTuple):
    """An image that sets a frame's instant: ``logged`` ns, of ``camera``."""

    logged: int
    camera: str


class StandIn(NamedTuple):
    """At the instant logged at ``at``, the image of ``camera`` that was logged at ``logged`` stands in; ns."""

    at: int
    camera: str
    logged: int


def find_instants(logged: Mapping[str, Sequence[int]], after: int, slop: int) -> list[Instant]:
    """Return the instants of a bag in order: the images of the first camera, and of the next one where it is missing.

    ``logged``: by camera in order, the log stamps of its images, sorted, ns. A camera is missing at an image of another
    one when it has none from ``after`` ns before to ``slop`` ns after it.
    """
    (first, leading), *others = logged.items()
    instants = [Instant(stamp, first) for stamp in leading]
    if not all(logged.values()):
        return instants
    begun = max(stamps[0] for stamps in logged.values())
    earlier = list(leading)
    for camera, stamps in others:
        alone = (each for each in stamps if not _any_within(earlier, each - after, each + slop))
        instants += [Instant(stamp, camera) for stamp in alone if stamp > begun]
        earlier = sorted([*earlier, *stamps])
    return sorted(instants, key=lambda instant: instant.logged)


def find_stand_ins(
    instants: Sequence[Instant], logged: Mapping[str, Sequence[int]], after: int, slop: int
) -> list[StandIn]:
    """Return what stands in at ``instants``, in their order; arguments as for ``find_instants``."""
    found = []
    for instant in instants:
        for camera, stamps in logged.items():
            place = bisect_right(stamps, instant.logged + slop) - 1
            if camera != instant.camera and place >= 0 and stamps[place] < instant.logged - after:
                found.append(StandIn(instant.logged, camera, stamps[place]))
    return found


def _any_within(stamps: Sequence[int], low: int, high: int) -> bool:
    """Tell whether any of ``stamps``, sorted, lies in [low, high]."""
    place = bisect_left(stamps, low)
    return place < len(stamps) and stamps[place] <= high
