# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_iss_ros.render import words as words_module
from vla_iss_ros.render.heat import colours
from vla_iss_ros.render.text import BACKGROUND
from vla_iss_ros.render.words import LINES, draw_words

SENTENCE = [("press", 0.2), ("the", math.nan), ("red", 1.0), ("button", -0.5)]


def written(monkeypatch, width, words):
    """Return the words that are drawn, in order."""
    texts = []
    monkeypatch.setattr(words_module, "draw_text", lambda image, text, *rest, **options: texts.append(text))
    strip = draw_words(width, words)
    return texts, strip


def test_a_word_lies_on_the_shade_of_its_contrast(monkeypatch):
    _, strip = written(monkeypatch, 320, [("red", 1.0)])
    shade = np.unique(strip.reshape(-1, 3), axis=0)
    heat = colours(np.ones((1, 1), np.float32), "inferno")[0, 0].astype(float)
    expected = np.rint(128 * 0.4 + heat * 0.6)
    assert len(shade) == 2
    assert np.abs(shade - expected).max(axis=1).min() <= 1


@pytest.mark.parametrize(
    ("contrast", "others"), [(math.nan, set()), (0.0, {128}), (-1.0, {128}), (-math.inf, {128})]
)
def test_no_contrast_is_grey_and_an_unknown_one_has_no_shade(monkeypatch, contrast, others):
    _, strip = written(monkeypatch, 320, [("the", contrast)])
    rest = strip[(strip != BACKGROUND).any(axis=2)]
    assert set(rest.ravel().tolist()) == others


def test_without_words_there_is_no_strip():
    assert draw_words(320, []).shape == (0, 320, 3)


def test_a_long_sentence_is_broken_and_then_cut_with_an_ellipsis(monkeypatch):
    few, strip = written(monkeypatch, 320, SENTENCE)
    assert few == [word for word, _ in SENTENCE]
    many, longer = written(monkeypatch, 320, [(f"word{index}", 0.5) for index in range(60)])
    assert longer.shape[0] == LINES * strip.shape[0]
    assert many[-1] == "…"
    assert many[:-1] == [f"word{index}" for index in range(len(many) - 1)]


def test_a_word_wider_than_the_picture_is_cut(monkeypatch):
    texts, strip = written(monkeypatch, 320, [("w" * 200, 1.0)])
    assert strip.shape[1] == 320
    assert texts[0].endswith("…")
    assert 5 < len(texts[0]) < 60


@given(st.integers(64, 700), st.lists(st.tuples(st.text(min_size=1, max_size=30), st.floats()), max_size=12))
def test_any_words_fit_the_width(width, words):
    strip = draw_words(width, words)
    assert strip.dtype == np.uint8
    assert strip.shape[1:] == (width, 3)


def test_a_scale_of_zero_is_refused():
    with pytest.raises(ValueError, match="scale must be finite and above 0, got 0"):
        draw_words(320, SENTENCE, 0.0)
