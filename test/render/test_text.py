# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from vla_iss_ros.render.text import (
    BACKGROUND,
    SMALLEST,
    draw_text,
    fit,
    number,
    printable,
    size_for,
    text_line,
    text_width,
    with_interval,
)


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_text_is_at_least_13_px_from_320_px_on(width):
    assert size_for(width) >= 13


def test_text_that_fits_is_left_alone():
    assert fit("front", 14, 500) == ("front", 14)


def test_text_shrinks_before_it_is_cut():
    shown, size = fit("no regions: no NMR", 14, text_width("no regions: no NMR", 11))
    assert (shown, size) == ("no regions: no NMR", 11)


def test_cut_text_fits_and_says_so():
    shown, size = fit("no regions: no NMR", 14, 40)
    assert size == SMALLEST
    assert shown.endswith("…")
    assert text_width(shown, size) <= 40


def test_line_has_both_texts_at_its_ends():
    line = text_line(320, "front", "NMR@10 0.43", 14)
    inked = np.flatnonzero((line != BACKGROUND).any(axis=(0, 2)))
    assert line.shape[1] == 320
    assert inked[0] < 12
    assert inked[-1] > 320 - 12


@pytest.mark.parametrize(("value", "text"), [(0.426, "0.43"), (math.nan, "nan"), (0.0, "0.00")])
def test_numbers(value, text):
    assert number(value) == text


def test_interval_is_left_out_where_it_is_unknown():
    assert with_interval(0.4, 0.3, 0.5) == "0.40 [0.30, 0.50]"
    assert with_interval(0.4, math.nan, math.nan) == "0.40"
    assert with_interval(math.nan, math.nan, math.nan) == "nan"


def test_interval_can_be_written_always():
    assert with_interval(0.4, math.nan, math.nan, always=True) == "0.40 [nan, nan]"


@pytest.mark.parametrize("text", ["\x1e", "a\nb", "\ud800", "\u202e"])
def test_what_cannot_be_drawn_becomes_a_question_mark(text):
    shown = "".join("?" if ord(c) < 32 or ord(c) > 127 else c for c in text)
    assert printable(text) == shown
    pictures = [np.zeros((30, 100, 3), np.uint8) for _ in range(2)]
    draw_text(pictures[0], text, (5, 15), 14)
    draw_text(pictures[1], shown, (5, 15), 14)
    assert np.array_equal(*pictures)
