# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where episodes begin."""

import pytest
from bag_factory import SECOND, START, STEP, sample_messages, write_bag
from message_factory import String

from vla_iss_ros.bags.episodes import Episode, episode_at, find_episodes
from vla_iss_ros.bags.reader import Bag

FRAMES = "/front/image/compressed"
# Lengths 5 and 4: the second starts 5 steps and the pause later.
SECOND_START = START + 5 * STEP + 2 * SECOND


def episodes_of(path, **options):
    with Bag(path) as bag:
        return find_episodes(bag, "/episode", FRAMES, **options)


def test_markers_start_episodes(tmp_path):
    path = write_bag(tmp_path / "bag", sample_messages((5, 4)))
    assert episodes_of(path) == [
        Episode(0, START, {"index": 0, "task": "task 0"}),
        Episode(1, SECOND_START, {"index": 1, "task": "task 1"}),
    ]


def test_pauses_start_episodes_without_markers(tmp_path):
    path = write_bag(tmp_path / "bag", sample_messages((5, 4), markers=False))
    assert episodes_of(path) == [Episode(0, START), Episode(1, SECOND_START)]
    assert episodes_of(path, gap=3.0) == [Episode(0, START)]


@pytest.mark.parametrize("text", ["", "not json", "[1]", "3", "[" * 100000])
def test_markers_need_not_be_json_objects(tmp_path, text):
    path = write_bag(tmp_path / "bag", [("/episode", String(text), 4)])
    assert episodes_of(path) == [Episode(0, 4, {"text": text[:200]})]


def test_a_bag_without_frames_has_no_episodes(tmp_path):
    assert episodes_of(write_bag(tmp_path / "bag", [("/other", String("x"), 4)])) == []


@pytest.mark.parametrize("gap", [0, -1.0, float("nan")])
def test_gap_must_be_positive(tmp_path, gap):
    path = write_bag(tmp_path / "bag", sample_messages((1,)))
    with pytest.raises(ValueError, match="gap must be above 0 s, got"):
        episodes_of(path, gap=gap)


def test_episode_at_a_stamp():
    episodes = [Episode(0, 10), Episode(1, 20)]
    assert [episode_at(episodes, stamp) for stamp in (9, 10, 19, 20, 99)] == [None, 0, 0, 1, 1]
