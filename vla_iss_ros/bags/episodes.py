# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the episodes of a bag begin and end."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.messages.stamps import SECOND


@dataclass(frozen=True)
class Episode:
    """``start``: log stamp of its first message, ns. ``description``: what its marker says."""

    index: int
    start: int
    description: dict[str, Any] = field(default_factory=dict)


def find_episodes(bag: Bag, marker_topic: str, frame_topic: str, gap: float = 1.0) -> list[Episode]:
    """Return the bag's episodes in order; without any, none.

    Every message on ``marker_topic`` (std_msgs/String, JSON where it has more to say) starts one. Without
    markers a pause of more than ``gap`` seconds between messages on ``frame_topic`` does. Raises ValueError
    for gap <= 0.
    """
    if not gap > 0:
        raise ValueError(f"gap must be above 0 s, got {gap}")
    markers = [(message.stamp, _describe(message.message)) for message in bag.messages([marker_topic])]
    if markers:
        return [Episode(index, stamp, described) for index, (stamp, described) in enumerate(markers)]
    starts: list[int] = []
    previous = None
    for raw in bag.raw_messages([frame_topic]):
        if previous is None or raw.stamp - previous > gap * SECOND:
            starts.append(raw.stamp)
        previous = raw.stamp
    return [Episode(index, start) for index, start in enumerate(starts)]


def by_pauses(logged: Mapping[str, Sequence[int]], gap: float) -> list[Episode]:
    """Return the episodes by the log stamps of images by camera, ns; one begins after over ``gap`` s without any.

    Raises ValueError for a gap that is not above 0.
    """
    if not gap > 0:
        raise ValueError(f"gap must be above 0 s, got {gap}; give the pause that starts an episode")
    leading = next(iter(logged.values()))
    # There is no frame before the first camera begins, and so no episode.
    begun = leading[0] - gap * SECOND if leading else 0
    stamps = sorted(stamp for stamp in chain(*logged.values()) if stamp >= begun)
    starts = stamps[:1]
    starts += [stamp for before, stamp in pairwise(stamps) if stamp - before > gap * SECOND]
    return [Episode(index, start) for index, start in enumerate(starts)]


def episode_at(episodes: Sequence[Episode], stamp: int) -> int | None:
    """Return the place in ``episodes`` of the one that a log stamp lies in; None before the first."""
    place = bisect_right([episode.start for episode in episodes], stamp) - 1
    return place if place >= 0 else None


def _describe(message: Any) -> dict[str, Any]:
    """Read a marker; one that is not a JSON object still starts an episode."""
    text = getattr(message, "data", "")
    try:
        described = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {"text": str(text)[:200]}
    return described if isinstance(described, dict) else {"text": str(text)[:200]}
