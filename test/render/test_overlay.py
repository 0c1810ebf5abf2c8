# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vla_iss_ros import settings
from vla_iss_ros.messages.images import LONGEST_SIDE
from vla_iss_ros.render import overlay as overlay_module
from vla_iss_ros.render.heat import COLOUR_MAPS, blend_heat, colours
from vla_iss_ros.render.overlay import (
    REGION_COLOURS,
    Legend,
    Scale,
    blend_regions,
    colour_bar,
    draw_overlay,
    draw_regions,
    image_rows,
)
from vla_iss_ros.render.text import fit, size_for


def image(height=240, width=320, value=100):
    return np.full((height, width, 3), value, np.uint8)


def test_heat_sits_exactly_on_the_positions_with_positive_contrast():
    contrast = np.zeros((240, 320), np.float32)
    contrast[30:50, 200:260] = 1.0
    overlay = draw_overlay(image(), contrast, 1.0)
    changed = (overlay[image_rows(320, 240)] != 100).any(axis=2)
    assert np.array_equal(changed, contrast > 0)


@pytest.mark.parametrize("size", [(256, 256), (240, 320), (480, 640), (91, 123), (64, 64)])
def test_image_keeps_its_size_between_the_strips(size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    overlay = draw_overlay(picture, np.zeros(size, np.float32), 1.0)
    assert overlay.dtype == np.uint8
    assert overlay.shape[1] == size[1]
    assert np.array_equal(overlay[image_rows(size[1], size[0])], picture)


def test_heat_is_the_colour_map_at_the_contrast_s_opacity():
    contrast = np.full((4, 4), 0.5, np.float32)
    blended = blend_heat(image(4, 4), contrast, 1.0, alpha=0.6)
    heat = colours(np.full((1, 1), 0.5, np.float32), "inferno")[0, 0].astype(float)
    assert np.abs(blended[0, 0] - (100 * 0.7 + heat * 0.3)).max() < 2  # opacity has 256 steps


@pytest.mark.parametrize("value", [-1.0, 0.0, math.nan, math.inf, -math.inf])
def test_values_without_a_place_on_the_scale_leave_the_image_alone(value):
    contrast = np.full((4, 4), value, np.float32)
    assert np.array_equal(blend_heat(image(4, 4), contrast, 1.0), image(4, 4))


def test_values_above_the_scale_look_like_the_scale():
    top, above = (blend_heat(image(2, 2), np.full((2, 2), value, np.float32), 1.0) for value in (1.0, 7.0))
    assert np.array_equal(top, above)


@given(arrays.arrays(np.float32, (5, 7), elements=st.floats(-2, 2, width=32)))
def test_stronger_contrast_never_lies_nearer_to_the_image(contrast):
    grey = image(5, 7, 0)  # on black every colour of these maps only adds light, and they grow monotonically
    light = blend_heat(grey, contrast, 1.0).astype(int).sum(axis=2).ravel()
    assert (np.diff(light[np.argsort(contrast.ravel())]) >= -3).all()


def test_same_contrast_looks_the_same_whatever_else_is_in_the_frame():
    alone, beside_a_peak = np.zeros((2, 8, 8), np.float32)
    alone[1, 1] = beside_a_peak[1, 1] = 0.5
    beside_a_peak[6, 6] = 100.0
    first, second = (blend_heat(image(8, 8), contrast, 1.0) for contrast in (alone, beside_a_peak))
    assert np.array_equal(first[1, 1], second[1, 1])


@pytest.mark.parametrize("name", settings.BY_NAME["colour_map"].choices)
def test_every_colour_map_of_the_settings_is_known_and_gets_lighter(name):
    assert name in COLOUR_MAPS
    ramp = colours(np.linspace(0, 1, 16, dtype=np.float32)[None], name)[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(ramp) > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contrast": np.zeros((3, 4), np.float32)}, r"image's size \[4, 4\], got \[3, 4\]"),
        ({"scale": 0.0}, "scale must be finite and above 0, got 0.0"),
        ({"scale": math.nan}, "scale must be finite and above 0, got nan"),
        ({"decades": -1.0}, r"decades must be finite and not negative, got -1\.0"),
        ({"alpha": 1.5}, r"alpha must be in \[0, 1\], got 1.5"),
        ({"colour_map": "jet"}, "colour_map must be one of .*, got 'jet'"),
        ({"image": np.zeros((4, 4), np.uint8)}, r"image must be uint8 \[H, W, 3\], got uint8 \[4, 4\]"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    arguments = {"image": image(4, 4), "contrast": np.zeros((4, 4), np.float32), "scale": 1.0} | change
    with pytest.raises(ValueError, match=message):
        blend_heat(**arguments)


def test_legend_changes_the_strips_only():
    contrast = np.zeros((240, 320), np.float32)
    empty = draw_overlay(image(), contrast, 1.0)
    full = draw_overlay(
        image(),
        contrast,
        1.0,
        legend=Legend("front", 10, 0.43, 0.35, 0.52, 0.31, 128, "no regions: no NMR", False),
    )
    rows = np.flatnonzero((empty != full).any(axis=(1, 2)))
    inside = image_rows(320, 240)
    assert len(rows)
    assert not ((rows >= inside.start) & (rows < inside.stop)).any()


def test_logarithmic_heat_begins_so_many_decades_below_the_scale():
    contrast = np.array([[1000.0, 100.0, 10**1.5, 10.0, 10**0.5, 1.0, 0.5, 0.0, -10.0, math.nan]], np.float32)
    heat = blend_heat(image(1, 10), contrast, 100.0, alpha=0.6, decades=2)
    strength = np.array([[1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0, 0]], np.float32)
    opacity = np.array([0.6, 0.6, 0.6, 0.6, 0.3, 0, 0, 0, 0, 0])[:, None]
    expected = 100 * (1 - opacity) + colours(strength, "inferno")[0] * opacity
    # Colours have 256 steps, of which rounding may take the next.
    assert np.abs(heat[0] - expected).max() <= 3


def test_logarithmic_bar_says_where_it_begins_and_that_it_is_logarithmic(monkeypatch):
    words = []
    monkeypatch.setattr(overlay_module, "draw_text", lambda image, text, *rest, **options: words.append(text))
    colour_bar(640, 0.4)
    colour_bar(640, 0.4, decades=2)
    assert words == ["0", "0.4 delta", "0.004", "0.4 delta, log"]


@pytest.mark.parametrize(("adapts", "text"), [(True, "0.4 delta, auto"), (False, "0.4 delta, set")])
def test_the_bar_says_whether_the_scale_follows_the_maps(monkeypatch, adapts, text):
    words = []
    monkeypatch.setattr(overlay_module, "draw_text", lambda image, text, *rest, **options: words.append(text))
    draw_overlay(image(), np.zeros((240, 320), np.float32), 0.4, legend=Legend(adapts=adapts))
    assert text in words


@pytest.mark.parametrize(
    "state",
    ["stopped by the time budget", "no NMR: no regions", "no NMR: no regions for camera 'wrist_left'"],
)
def test_why_there_is_no_nmr_is_legible_at_320_px(state):
    assert fit(state, size_for(320), 320 - 2 * round(size_for(320) * 0.5))[1] >= 11


def test_colour_bar_shows_other_numbers_for_another_scale():
    assert not np.array_equal(colour_bar(320, 0.01), colour_bar(320, 0.02))


def test_scale_grows_fast_and_decays_slowly():
    scale = Scale(percentile=100, grow=0.5, decay=0.1)
    assert scale.update([np.full((2, 2), 1.0)]) == 1.0
    assert scale.update([np.full((2, 2), 4.0)]) == pytest.approx(2.0)  # half of the way: the geometric mean
    assert scale.update([np.full((2, 2), 1.0)]) == pytest.approx(2.0**0.9)


def test_scale_takes_all_views_together():
    assert Scale(percentile=100).update([np.full((2, 2), 1.0), np.full((3, 3), 5.0)]) == 5.0


@pytest.mark.parametrize(
    "nothing", [[], [np.zeros((2, 2))], [np.full((2, 2), math.nan)], [np.full((2, 2), -1.0)]]
)
def test_scale_is_unmoved_by_maps_without_positive_contrast(nothing):
    scale = Scale(percentile=100)
    assert scale.update(nothing) == 1.0
    scale.update([np.full((2, 2), 4.0)])
    assert scale.update(nothing) == 4.0


def test_fixed_scale_never_moves():
    scale = Scale(fixed=0.25)
    assert not scale.adapts
    assert [scale.update([np.full((2, 2), value)]) for value in (1.0, 100.0, math.nan)] == [0.25, 0.25, 0.25]


def test_reset_forgets_the_maps():
    scale = Scale(percentile=100)
    scale.update([np.full((2, 2), 8.0)])
    scale.reset()
    assert scale.update([np.full((2, 2), 2.0)]) == 2.0


def test_negative_fixed_scale_is_refused():
    with pytest.raises(ValueError, match=r"overlay_scale must be finite and not negative, got -1\.0"):
        Scale(fixed=-1.0)


def test_regions_are_tinted_where_they_are():
    regions = np.zeros((240, 320), np.uint8)
    regions[:120, :160], regions[:120, 160:] = 1, 2
    tinted = draw_regions(image(value=0), regions)[:240].astype(float)
    for value, window in ((1, np.s_[:120, :160]), (2, np.s_[:120, 160:]), (0, np.s_[120:, :])):
        colour = tinted[window].reshape(-1, 3)
        assert (colour == colour[0]).all()
        assert colour[0] / colour[0].sum() == pytest.approx(
            np.array(REGION_COLOURS[value]) / sum(REGION_COLOURS[value]), abs=0.01
        )


def test_regions_of_another_size_cover_the_same_place():
    regions = np.zeros((24, 32), np.uint8)
    regions[6:12, 8:16] = 1
    tinted = blend_regions(image(value=0), regions)
    blue = (tinted[..., 2] > tinted[..., 0]) & (tinted[..., 0] == 0)
    expected = np.zeros((240, 320), bool)
    expected[60:120, 80:160] = True
    assert np.array_equal(blue, expected)


@pytest.mark.parametrize("regions", [np.full((4, 4), 7, np.uint8), np.zeros((0, 4), np.uint8)])
def test_unknown_regions_are_refused(regions):
    with pytest.raises(ValueError, match="regions must be"):
        blend_regions(image(4, 4), regions)


def test_words_stand_below_the_image_and_leave_it_alone():
    contrast = np.zeros((240, 320), np.float32)
    plain = draw_overlay(image(), contrast, 1.0)
    worded = draw_overlay(image(), contrast, 1.0, legend=Legend(words=[("press", 1.0), ("it", math.nan)]))
    inside = image_rows(320, 240)
    added = worded.shape[0] - plain.shape[0]
    assert added > 10
    assert np.array_equal(worded[: inside.stop], plain[: inside.stop])
    assert np.array_equal(worded[inside.stop + added :], plain[inside.stop :])


@pytest.mark.parametrize(
    ("legend", "text"),
    [
        (Legend(value=0.6, chance=0.4, level="error"), "ERROR: 1.5 x chance 0.40"),
        (Legend(value=0.4, chance=0.4), "1.0 x chance 0.40"),
        (Legend(), "chance nan"),
        (Legend(value=0.4, chance=0.0), "chance 0.00"),
    ],
)
def test_the_header_judges_nmr_beside_chance(monkeypatch, legend, text):
    texts = []
    original = overlay_module.text_line
    monkeypatch.setattr(
        overlay_module,
        "text_line",
        lambda *given, **named: (texts.extend(given), original(*given, **named))[1],
    )
    draw_overlay(image(), np.zeros((240, 320), np.float32), 1.0, legend=legend)
    assert text in texts


def test_a_large_map_has_the_scale_of_the_same_map_in_small():
    small = np.random.default_rng(0).random((12, 16)).astype(np.float32)
    large = np.kron(small, np.ones((40, 40), np.float32))
    assert Scale().update([large]) == pytest.approx(Scale().update([small]), rel=0.02)


@pytest.mark.parametrize("size", [(1, LONGEST_SIDE), (LONGEST_SIDE, 1)])
def test_strips_of_the_longest_image_stay_small(size):
    words = [("word" * 20, 0.5)] * 2000
    legend = Legend("front", value=0.3, low=0.2, high=0.4, chance=0.1, level="error", words=words)
    drawn = draw_overlay(image(*size), np.ones(size, np.float32), 1.0, legend=legend)
    keyed = draw_regions(image(*size), np.ones(size, np.uint8))
    assert drawn.shape[1] == keyed.shape[1] == size[1]
    assert max(drawn.nbytes, keyed.nbytes) <= 20_000_000
