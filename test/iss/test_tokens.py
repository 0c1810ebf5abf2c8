# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from vla_iss_ros.iss.tokens import Encoded, Segment


def camera(start=0, stop=6, **changes):
    return Segment("camera", start, stop, "front", **{"grid": (2, 3), **changes})


def test_segments_say_what_does_not_agree():
    with pytest.raises(ValueError, match=r"kind must be one of camera, .*, got 'sound'"):
        Segment("sound", 0, 1)
    with pytest.raises(ValueError, match=r"needs 0 <= start < stop, got 3 and 3"):
        Segment("state", 3, 3)
    with pytest.raises(ValueError, match=r"camera 'front' has 5 tokens, its grid is \(2, 3\)"):
        camera(stop=5)
    with pytest.raises(ValueError, match=r"must lie within \(2, 3\), got \(0, 0, 2.5, 3\)"):
        camera(content=(0, 0, 2.5, 3))
    with pytest.raises(ValueError, match=r"2 tokens, 2 words and \[0, 0\]"):
        Segment("instruction", 0, 2, words=("press", "it"), word_of=(0, 0))
    assert Segment("instruction", 4, 7, words=("press", "it"), word_of=(0, 0, 1)).count == 3


def test_segments_lie_apart_within_the_tokens():
    tokens = torch.zeros(1, 9, 2)
    assert Encoded(tokens, (Segment("state", 7, 9), camera())).tokens.shape == (1, 9, 2)
    with pytest.raises(ValueError, match="within 9 tokens, got state '' at 5 to 8"):
        Encoded(tokens, (camera(), Segment("state", 5, 8)))
    with pytest.raises(ValueError, match="within 9 tokens, got state '' at 8 to 10"):
        Encoded(tokens, (Segment("state", 8, 10),))
    with pytest.raises(ValueError, match=r"must be \[1, L, D\], got \[2, 9, 2\]"):
        Encoded(tokens.expand(2, -1, -1), ())
