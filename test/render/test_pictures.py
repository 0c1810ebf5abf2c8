# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import io
import math

import numpy as np
import pytest
from PIL import Image

from vla_iss_ros.render.pictures import (
    Panel,
    Row,
    Series,
    beside,
    contact_sheet,
    nmr_chart,
    resized,
    save_animation,
    save_picture,
    stacked,
)


def colour(value, height=64, width=64):
    return np.full((height, width, 3), value, np.uint8)


def noise(count, height=120, width=160):
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def test_sheet_holds_every_tile_in_its_row_and_column():
    rows = [
        Row(["first"], [colour((255, 0, 0)), colour((0, 255, 0))]),
        Row(["second"], [None, colour((0, 0, 255))]),
    ]
    sheet = contact_sheet(["camera", "overlay"], rows, title="title", tile_width=100, label_width=80)
    places = {}
    for name, wanted in {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}.items():
        found = np.argwhere((sheet == wanted).all(axis=2))
        assert len(found) == 100 * 100
        places[name] = found.min(axis=0)
    assert places["red"][0] == places["green"][0] < places["blue"][0]
    assert places["red"][1] < places["green"][1] == places["blue"][1]


def test_sheet_without_rows_or_with_a_ragged_row_is_refused():
    with pytest.raises(ValueError, match="at least one row, got none"):
        contact_sheet(["camera"], [], title="")
    with pytest.raises(ValueError, match="2 tiles, got 1 in 'row'"):
        contact_sheet(["camera", "overlay"], [Row(["row"], [colour(0)])], title="")


def test_footer_wraps_instead_of_being_cut():
    rows = [Row(["row"], [colour(0)])]
    plain = contact_sheet(["camera"], rows, title="", tile_width=100)
    wide = contact_sheet(
        ["camera"], rows, title="", tile_width=100, footer=[colour(9, 20, 200), colour(9, 20, 200)]
    )
    assert wide.shape[0] == plain.shape[0] + 40


def test_resizing_keeps_the_aspect_ratio():
    assert resized(colour(0, 48, 64), 32).shape == (24, 32, 3)


def test_joined_pictures_keep_their_pixels():
    assert (beside([colour(5, 10, 20), colour(7, 30, 20)])[:10, :20] == 5).all()
    assert (stacked([colour(5, 10, 20), colour(7, 30, 40)])[-30:, :40] == 7).all()


@pytest.mark.parametrize("values", [[0.2, 0.3, 0.4], [0.2, math.nan, 0.4], [math.nan] * 3, []])
def test_chart_is_a_picture_whatever_is_undefined(values):
    seconds, array = np.arange(len(values), dtype=float), np.array(values)
    series = [
        Series("clean, donor", seconds, array, array - 0.1, array + 0.1),
        Series("x", seconds, array, array, array),
    ]
    panel = Panel("button-press", series, (seconds, np.full(len(values), 0.3)), 1.0)
    data = nmr_chart([panel, panel])
    assert Image.open(io.BytesIO(data)).format == "PNG"


def test_chart_needs_a_panel():
    with pytest.raises(ValueError, match="at least one panel, got none"):
        nmr_chart([])


def test_animation_keeps_its_limit_and_its_playing_time(tmp_path):
    frames = noise(12)
    path = tmp_path / "pictures" / "demo.gif"
    save_animation(frames, path, seconds=0.2, limit=60_000)
    assert path.stat().st_size <= 60_000
    with Image.open(path) as gif:
        total = 0
        for index in range(gif.n_frames):
            gif.seek(index)
            total += gif.info["duration"]
        assert gif.info["loop"] == 0
    assert total == pytest.approx(12 * 200, rel=0.35)


def test_animation_that_fits_is_left_at_full_size(tmp_path):
    path = tmp_path / "demo.gif"
    assert save_animation([colour(0), colour(200)], path) == (1.0, 128, 1)
    with Image.open(path) as gif:
        assert gif.size == (64, 64)
        assert gif.n_frames == 2


def test_animation_that_cannot_fit_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="2 frames do not fit into 10 bytes"):
        save_animation(noise(2), tmp_path / "demo.gif", limit=10)
    assert list(tmp_path.iterdir()) == []


def test_animation_needs_a_frame(tmp_path):
    with pytest.raises(ValueError, match="at least one frame, got none"):
        save_animation([], tmp_path / "demo.gif")


def test_saved_picture_is_the_picture(tmp_path):
    picture = noise(1)[0]
    save_picture(picture, tmp_path / "sheet.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), picture)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
