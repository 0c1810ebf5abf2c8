# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import numpy as np
import pytest
from large_tables import PATTERN, columns, peak_below, write_large

from vla_iss_ros.analysis.before_after import compare
from vla_iss_ros.analysis.frame_columns import FrameColumns, StoredRows
from vla_iss_ros.analysis.frame_table import EffectFigures, RatioFigures, write_table
from vla_iss_ros.analysis.ranking import rank
from vla_iss_ros.analysis.report_figures import mean_ratio, worst_frames


def row(place, episode="bag/0", **changes):
    return dataclasses.replace(
        PATTERN, episode=episode, frame=place, stamp=place, seconds=0.1 * place, **changes
    )


@pytest.fixture
def rows():
    return [
        row(0, instruction="first"),
        row(1, explained=False, ratios={10: RatioFigures(0.7)}, effects={}, reason=""),
        row(2, reason="no regions", ratios={10: RatioFigures()}),
        row(3, "bag/1", source="other", effects={"state": EffectFigures(reason="no mean")}),
    ]


@pytest.fixture
def stored(tmp_path):
    def write(rows):
        write_table(rows, tmp_path / "t.parquet", tmp_path / "t.csv")
        return StoredRows(tmp_path / "t.parquet")

    return write


def test_stored_rows_are_read_as_a_sequence(stored):
    rows = [row(place) for place in range(2500)]
    found = stored(rows)
    assert len(found) == 2500
    assert [each.stamp for each in found] == list(range(2500))
    assert [found[place].stamp for place in (0, 999, 1000, 2499, -1)] == [0, 999, 1000, 2499, 2499]
    assert [each.stamp for each in found[998:1002]] == [998, 999, 1000, 1001]
    with pytest.raises(IndexError):
        found[2500]


def test_a_file_of_something_else_is_refused_when_it_is_opened(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"cannot read the table of frames '.*t.parquet'"):
        StoredRows(tmp_path / "t.parquet")


def test_columns_hold_what_the_rows_do(rows):
    found = FrameColumns.of(rows, 10)
    assert found.sources == ("bag", "other")
    assert found.episodes == (("bag", "bag/0"), ("other", "bag/1"))
    assert found.instructions == ("first", "lift the cube")
    assert found.episode.tolist() == [0, 0, 0, 1]
    assert found.explained.tolist() == [True, False, True, True]
    assert found.value.tolist()[:2] == [0.5, 0.7]
    assert np.isnan(found.value[2])
    assert found.reasons == {"no regions": 1}
    assert [each.tolist() for each in found.by_episode(found.stamp)] == [[0, 2], [3]]


def test_columns_of_a_stored_table_are_those_of_its_rows(stored):
    values = np.random.default_rng(0).uniform(size=2100)
    rows = [
        row(
            place,
            f"bag/{place // 700}",
            explained=place % 3 == 0,
            ratios={10: RatioFigures(value if place % 5 else math.nan)},
            effects={"state": EffectFigures(value, 2 * value, reason="" if place != 3 else "why")},
        )
        for place, value in enumerate(values.tolist())
    ]
    one, two = FrameColumns.of(rows, 10), FrameColumns.of(stored(rows), 10)
    for name in ("source", "episode", "stamp", "seconds", "explained", "value", "low", "chance", "spent"):
        assert np.array_equal(getattr(one, name), getattr(two, name), equal_nan=name != "explained")
    assert one.episodes == two.episodes
    assert np.array_equal(one.effects["state"].share, two.effects["state"].share)
    assert one.effects["state"].reason == two.effects["state"].reason == "why"


def test_another_percentage_is_undefined(rows):
    assert np.isnan(FrameColumns.of(rows[:1], 33).value).all()


def test_episodes_of_one_name_in_two_recordings_are_two():
    found = FrameColumns.of([row(0, "0"), row(1, "0", source="other")], 10)
    assert len(found.by_episode(found.value)) == 2


def test_no_rows_are_no_columns():
    found = FrameColumns.of([], 10)
    assert len(found) == 0
    assert mean_ratio(found, 0).count == 0


def test_memory_is_a_few_numbers_a_frame(tmp_path):
    # As rows these tables would take 0.6 GB each.
    paths = [
        write_large(tmp_path / f"{mean}.parquet", PATTERN.flat(), columns(100_000, 700, mean=mean))
        for mean in (0.35, 0.4, 0.45)
    ]
    with peak_below(60):
        found = FrameColumns.of(StoredRows(paths[0]), 10)
        assert mean_ratio(found, 0).value == pytest.approx(0.35, abs=0.001)
        assert len(worst_frames(found)) == 6
    del found
    with peak_below(90):
        ranked = rank({path.stem: StoredRows(path) for path in paths}, 10, 0)
    assert [each.policy for each in ranked] == ["0.35", "0.4", "0.45"]
    with peak_below(90):
        nmr, *_ = compare(StoredRows(paths[0]), StoredRows(paths[2]), 10, 0)
    assert nmr.difference == pytest.approx(0.1, abs=0.001)
