# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Choice of donor moments and what is written of them."""

import json
from collections import Counter

import cv2
import numpy as np
import pytest
from bag_factory import START, STEP, jpeg, picture, write_bag
from hypothesis import given
from hypothesis import strategies as st
from message_factory import compressed, image_of

from vla_iss_ros.bags.donors import choose_moments, gather_donors
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.reader import Bag

ONE = BagTopics({"a": "/a"}, {}, "", "/instruction", "/episode")


def rng(seed=0):
    return np.random.default_rng(seed)


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 40), st.integers(0, 9))
def test_moments_are_spread(lengths, count, seed):
    chosen = choose_moments(lengths, count, rng(seed))
    assert len(chosen) == len(set(chosen)) == min(count, sum(lengths))
    assert chosen == sorted(chosen)
    assert all(0 <= frame < lengths[episode] for episode, frame in chosen)
    shares = Counter(episode for episode, _ in chosen)
    # No episode has two more than another that still had frames left.
    for episode, length in enumerate(lengths):
        assert shares[episode] == length or all(shares[episode] >= share - 1 for share in shares.values())


def test_moments_are_spread_over_time():
    for seed in range(5):
        frames = [frame for _, frame in choose_moments([40], 4, rng(seed))]
        assert [frame // 10 for frame in frames] == [0, 1, 2, 3]


def test_the_seed_decides():
    assert choose_moments([50, 50], 6, rng(1)) == choose_moments([50, 50], 6, rng(1))
    assert choose_moments([50, 50], 6, rng(1)) != choose_moments([50, 50], 6, rng(2))


@pytest.mark.parametrize("seed", range(4))
def test_the_next_readable_frame_stands_in_for_a_broken_one(tmp_path, seed):
    good = [jpeg(picture(0, index)) for index in range(4)]
    data = [b"junk", good[1], good[2][:-5], good[3]]
    messages = [("/a", compressed(d, "jpeg", START + i * STEP), START + i * STEP) for i, d in enumerate(data)]
    with Bag(write_bag(tmp_path / "bag", messages)) as bag:
        gathered = gather_donors(bag, tmp_path / "donors", ONE, 2, rng(seed))
    assert gathered.moments == 2
    written = [(tmp_path / "donors" / "a" / f"00{number}.jpg").read_bytes() for number in range(2)]
    assert written == [good[1], good[3]]
    # Of the first two frames and of the last two one is chosen; frames 0 and 2 are the broken ones.
    chosen = [frame for _, frame in choose_moments([4], 2, rng(seed))]
    assert sum(gathered.problems.values()) == sum(frame in (0, 2) for frame in chosen)


def test_raw_images_become_png(tmp_path):
    with Bag(write_bag(tmp_path / "bag", [("/a", image_of(picture(0, 3), "rgb8", 5), START)])) as bag:
        gather_donors(bag, tmp_path / "donors", ONE, 1, rng())
    frame = json.loads((tmp_path / "donors" / "donors.json").read_text())["frames"][0]
    assert frame["file"] == "a/000.png"
    stored = cv2.imread(str(tmp_path / "donors" / frame["file"]))[..., ::-1]
    np.testing.assert_array_equal(stored, picture(0, 3))


def test_a_bag_without_a_readable_moment_leaves_nothing(tmp_path):
    path = write_bag(tmp_path / "bag", [("/a", compressed(b"junk", "jpeg", START), START)])
    with Bag(path) as bag, pytest.raises(BagError, match="no moment with readable images of a"):
        gather_donors(bag, tmp_path / "donors", ONE, 1, rng())
    assert [file.name for file in tmp_path.iterdir()] == ["bag"]


def test_only_a_donor_set_is_overwritten(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    path = write_bag(tmp_path / "bag", [("/a", image_of(picture(0, 0), "rgb8"), START)])
    with Bag(path) as bag, pytest.raises(BagError, match="is not a donor set"):
        gather_donors(bag, tmp_path / "precious", ONE, 1, rng(), overwrite=True)
    assert (tmp_path / "precious" / "file").exists()
