# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from token_toys import TokenToy, token_frame

from vla_iss_ros.iss.token_means import TokenMeans, gather_means
from vla_iss_ros.iss.tokens import CAMERA, Encoded, Segment


def encodings():
    toy = TokenToy()
    return [toy.encode(toy.preprocess(token_frame(seed))) for seed in range(3)]


def test_means_are_those_of_each_camera_and_of_the_words():
    frames = encodings()
    means = gather_means(frames)
    front = torch.stack([frame.tokens[0, 1:37] for frame in frames]).flatten(0, 1).mean(0)
    torch.testing.assert_close(means.cameras["front"], front)
    # One word of four is 1.
    torch.testing.assert_close(means.instruction, torch.full((5,), 0.25))
    assert dict(means.counts) == {"front": 108, "wrist": 108, "instruction": 24}
    assert means.frames == 3


def test_padding_has_no_say():
    tokens = torch.full((1, 4, 1), 100.0)
    tokens[0, 1:3] = torch.tensor([[1.0], [3.0]])
    segment = Segment(CAMERA, 0, 4, "front", (4, 1), (1.0, 0.0, 2.0, 1.0))
    means = gather_means([Encoded(tokens, (segment,))])
    assert means.cameras["front"].tolist() == [2.0]


def test_rows_replace_by_kind_and_keep_the_rest():
    frame = encodings()[0]
    rows = gather_means([frame]).rows(frame)
    assert rows[0, 0].tolist() == [9.0] * 5
    assert (rows[0, 1:37] == rows[0, 1]).all()
    assert rows[0, -1].tolist() == [9.0] * 5


def test_missing_and_foreign_means_are_refused():
    frame = encodings()[0]
    with pytest.raises(ValueError, match="no mean embedding of camera 'front'"):
        TokenMeans({}, None, 1).rows(frame)
    with pytest.raises(ValueError, match=r"must be \[5\], got \[4\]"):
        TokenMeans({"front": torch.zeros(4)}, None, 1).rows(frame)


def test_nothing_to_gather_is_refused():
    with pytest.raises(ValueError, match="at least one frame"):
        gather_means([])


def test_embeddings_that_are_not_finite_are_refused():
    frame = encodings()[0]
    frame.tokens[0, 5, 0] = torch.nan
    with pytest.raises(ValueError, match="camera 'front' is not finite"):
        gather_means([frame])
