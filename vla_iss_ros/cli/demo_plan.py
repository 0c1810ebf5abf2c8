# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which episodes the demo plays, and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vla_iss_ros.bags.episodes import Episode, find_episodes
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.messages.stamps import SECOND


@dataclass(frozen=True)
class Plan:
    """What is played: episodes of a bag, by place, with names for people, in so many seconds."""

    bag: Path
    episodes: Sequence[Episode]
    names: Sequence[str]
    places: Sequence[int]
    bag_seconds: float
    play_seconds: float

    @property
    def rate(self) -> float:
        """Speed of the bag's time."""
        return min(1.0, max(0.01, self.bag_seconds / self.play_seconds))


def make_plan(bag: Path, play_seconds: float) -> Plan:
    """Choose one aligned episode of each task; without descriptions, the first three."""
    topics = BagTopics()
    camera = next(iter(topics.images.values()))
    with Bag(bag) as source:
        episodes = find_episodes(source, topics.episode, camera)
        stamps = np.array([raw.stamp for raw in source.raw_messages([camera])])
    tasks: dict[str, int] = {}
    for place, episode in enumerate(episodes):
        if episode.description.get("condition") == "aligned":
            tasks.setdefault(str(episode.description.get("task")), place)
    places = list(tasks.values()) or list(range(min(3, len(episodes))))
    starts = np.array([episode.start for episode in episodes])
    owner = np.searchsorted(starts, stamps, side="right") - 1
    length = sum(float(np.ptp(stamps[owner == place])) for place in places if (owner == place).any()) / SECOND
    names = [str(episode.description.get("task", f"episode {episode.index}")) for episode in episodes]
    return Plan(bag, episodes, [name.removesuffix("-v3") for name in names], places, length, play_seconds)
