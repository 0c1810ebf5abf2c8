# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Label images, found again by stamp; a missing stream of them never holds anything up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

KEPT = 16
# Label images come by a topic of their own and may arrive just after the image of the same stamp.
GRACE = 0.1


class LabelImages:
    """The newest label images of each camera. Thread safe."""

    def __init__(self, cameras: Sequence[str], slop: float) -> None:
        """Keep label images that belong to an image when their stamps differ by at most ``slop`` seconds."""
        self._slop = round(slop * 1e9)
        self._condition = threading.Condition()
        self._kept: dict[str, list[tuple[int, Any]]] = {camera: [] for camera in cameras}
        self._expected = dict.fromkeys(cameras, False)
        self.received = dict.fromkeys(cameras, 0)
        self.matched = dict.fromkeys(cameras, False)

    def add(self, camera: str, stamp: int, message: Any) -> None:
        """Take in a label image with its stamp in ns."""
        with self._condition:
            self.received[camera] += 1
            self._expected[camera] = True
            self._kept[camera] = [*self._kept[camera], (stamp, message)][-KEPT:]
            self._condition.notify_all()

    def find(self, stamps: Mapping[str, int], check: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Return the label images nearest to ``stamps``, the newest of equally near, for the cameras that have one.

        Waits a moment for a stream that kept up so far, and not at all for one that is absent or behind.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._complete(stamps), GRACE)
            found = {camera: self._nearest(camera, stamp) for camera, stamp in stamps.items()}
            for camera in stamps:
                self.matched[camera] = found[camera] is not None
                self._expected[camera] = self.matched[camera]
        check()
        return {camera: message for camera, message in found.items() if message is not None}

    def _complete(self, stamps: Mapping[str, int]) -> bool:
        return all(
            self._nearest(camera, stamps[camera]) is not None for camera in stamps if self._expected[camera]
        )

    def _nearest(self, camera: str, stamp: int) -> Any:
        # The newest first: where nobody sets stamps, all are equally near.
        near = [
            (abs(kept - stamp), message)
            for kept, message in reversed(self._kept[camera])
            if abs(kept - stamp) <= self._slop
        ]
        return min(near, key=lambda pair: pair[0])[1] if near else None
