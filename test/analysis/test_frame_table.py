# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import pytest

from vla_iss_ros.analysis.frame_table import (
    EffectFigures,
    FrameRow,
    RatioFigures,
    TableWriter,
    read_table,
    write_table,
)


def row(frame: int, **changes) -> FrameRow:
    made = FrameRow(
        source="run",
        episode="run/0",
        frame=frame,
        stamp=1_767_225_600_000_000_001 + frame,
        seconds=0.1 * frame,
        instruction='say "hi", then\nstop',
        explained=True,
        piece="run-000000",
        samples=128,
        stop_reason="samples",
        chance=0.25,
        noise_floor=1e-12,
        mean_delta=0.5,
        ratios={10: RatioFigures(0.5, 0.4, 0.6, 0.0, {"front": 0.5, "my_low": 0.125}), 5: RatioFigures()},
        areas={"front": {"nuisance": 0.5, "robot": 0.25, "object": 0.25}},
        effects={"camera_front": EffectFigures(0.5, 0.75, 0.1), "state": EffectFigures(reason="no mean")},
        timings={"policy": 0.25},
    )
    return dataclasses.replace(made, **changes)


def same(left: FrameRow, right: FrameRow) -> bool:
    pairs = zip(left.flat().items(), right.flat().items(), strict=True)
    return all(
        a == b or (a[0] == b[0] and isinstance(a[1], float) and math.isnan(a[1]) and math.isnan(b[1]))
        for a, b in pairs
    )


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_table_comes_back_as_it_was(tmp_path, kind):
    odd = {"explained": False, "shared_noise": False, "chance": math.nan, "stood_in": "front, wrist"}
    rows = [row(0), row(1, reason="no regions: none", **odd)]
    write_table(rows, tmp_path / "t.parquet", tmp_path / "t.csv")
    found = read_table(tmp_path / f"t.{kind}")
    assert len(found) == 2
    assert all(same(a, b) for a, b in zip(rows, found, strict=True))
    assert found[0].ratios[10].views["my_low"] == 0.125
    assert found[0].key == ("run", rows[0].stamp)


def test_a_table_without_the_column_of_stand_ins_had_none():
    older = {name: value for name, value in row(0).flat().items() if name != "stood_in"}
    assert FrameRow.of_flat(older).stood_in == ""
    with pytest.raises(ValueError, match="needs the column instruction"):
        FrameRow.of_flat({name: value for name, value in older.items() if name != "instruction"})


def test_columns_have_plain_names():
    columns = row(0).flat()
    assert columns["nmr_10"] == 0.5
    assert columns["nmr_10_low"] == 0.4
    assert columns["area_front_robot"] == 0.25
    assert columns["effect_camera_front_share"] == 0.75
    assert columns["seconds_policy"] == 0.25


def test_a_failed_block_leaves_what_was_there(tmp_path):
    paths = tmp_path / "t.parquet", tmp_path / "t.csv"
    write_table([row(0)], *paths)
    before = [path.read_bytes() for path in paths]
    with pytest.raises(ValueError, match=r"differs in .*seconds_other"), TableWriter(*paths) as writer:
        writer.write([row(1), row(2, timings={"other": 1.0})])
    assert [path.read_bytes() for path in paths] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet"]


def test_other_files_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="needs the column source"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.parquet").write_bytes(b"no")
    with pytest.raises(ValueError, match="cannot read the table of frames"):
        read_table(tmp_path / "t.parquet")
