# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Joining tables of NMR with a table of success."""

import tracemalloc

import numpy as np
import pytest

from vla_iss_ros.analysis.correlation import correlate
from vla_iss_ros.analysis.correlation_points import NmrTable, read_points
from vla_iss_ros.analysis.frame_table import FrameRow, RatioFigures, write_table
from vla_iss_ros.analysis.run_directory import RunDirectory


def write(path, header, rows, encoding="utf-8"):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding=encoding)
    return path


def read(nmr, success, keys=()):
    return read_points([NmrTable(nmr)], success, keys)


def write_analysis(path, policy, nmr_by_episode, source="bag"):
    """Write what analyze_bag leaves of frames.

    Two an episode, 0.1 around its NMR at k = 10 and 0.2 above at 50, and one that is interpolated and far from both.
    """
    directory = RunDirectory(path)
    rows = [
        FrameRow(
            source,
            episode,
            frame,
            frame,
            0.0,
            "",
            frame < 2,
            "",
            ratios={
                10: RatioFigures(value + 0.1 - 0.2 * frame if frame < 2 else 1.0),
                50: RatioFigures(value + 0.2 if frame < 2 else 1.0),
            },
        )
        for episode, value in nmr_by_episode.items()
        for frame in range(3)
    ]
    write_table(rows, directory.parquet, directory.csv)
    directory.write_info({"status": "complete", "settings": {"policy": policy}})
    return path


def test_what_is_interpolated_is_in_no_mean(tmp_path):
    analysis = write_analysis(tmp_path / "a", "p", {"bag/0": 0.3, "bag/1": 0.5})
    success = write(tmp_path / "s.csv", "episode,success", [("bag/0", 1), ("bag/1", 0)])
    for table in (RunDirectory(analysis).parquet, RunDirectory(analysis).csv):
        np.testing.assert_allclose(read(table, success, ["episode"]).nmr[10], [0.3, 0.5])


CHECKPOINTS = {"builtin:a": 0.3, "builtin:b": 0.5}
# Two tasks, two seeds a checkpoint; a task's difficulty moves NMR and success.
EPISODES = {f"bag/{number}": 0.05 * number for number in range(4)}
TRIALS = [
    (policy, episode, f"t{number % 2}", f"s{number // 2}", 0.9 - base - offset)
    for policy, base in CHECKPOINTS.items()
    for number, (episode, offset) in enumerate(EPISODES.items())
]


@pytest.fixture
def analyses(tmp_path):
    for name, (policy, base) in zip("ab", CHECKPOINTS.items(), strict=True):
        write_analysis(
            tmp_path / name, policy, {episode: base + offset for episode, offset in EPISODES.items()}
        )
    return tmp_path / "a", tmp_path / "b"


def test_checkpoints_and_episodes_make_points_and_the_success_table_gives_the_clusters(analyses, tmp_path):
    success = write(tmp_path / "s.csv", "policy,episode,task,seed,success", TRIALS)
    points = read_points([NmrTable.of(str(path)) for path in analyses], success)
    assert points.keys == ("policy", "episode")
    assert len(points.labels) == 8
    assert points.unmatched == points.missing == 0
    assert points.averaged == ()
    tasks = {(row[0], row[1]): row[2] for row in TRIALS}
    seeds = {(row[0], row[1]): row[3] for row in TRIALS}
    assert points.clusters == {
        "task": tuple(tasks[label] for label in points.labels),
        "seed": tuple(seeds[label] for label in points.labels),
    }
    expected = [CHECKPOINTS[policy] + EPISODES[episode] for policy, episode in points.labels]
    assert points.nmr[10] == pytest.approx(expected)
    assert points.nmr[50] == pytest.approx(np.add(expected, 0.2))
    assert points.success == pytest.approx(np.subtract(0.9, expected))
    assert [each.value for each in correlate(points, 0, draws=20)] == pytest.approx([-1] * 4)


def test_a_draw_takes_whole_tasks_of_the_success_table(analyses, tmp_path):
    success = write(tmp_path / "s.csv", "policy,episode,task,success", [(*row[:3], row[4]) for row in TRIALS])
    points = read_points([NmrTable.of(str(path)) for path in analyses], success)
    assert list(points.clusters) == ["task"]
    one_task = write(
        tmp_path / "o.csv", "policy,episode,task,success", [(*row[:2], "t", row[4]) for row in TRIALS]
    )
    # One task that is always drawn leaves nothing to vary.
    (pearson, *_) = correlate(
        read_points([NmrTable.of(str(path)) for path in analyses], one_task), 0, draws=20
    )
    assert pearson.low == pearson.value == pearson.high


def test_names_take_the_place_of_the_policies(analyses, tmp_path):
    rows = [("early" if row[0].endswith("a") else "late", *row[1:]) for row in TRIALS]
    success = write(tmp_path / "s.csv", "policy,episode,task,seed,success", rows)
    tables = [NmrTable.of(f"{name}={path}") for name, path in zip(("early", "late"), analyses, strict=True)]
    assert [table.policy for table in tables] == ["early", "late"]
    assert len(read_points(tables, success).labels) == 8
    tables = [
        NmrTable.of(f"early={analyses[0]}/frames.csv"),
        NmrTable.of(f"late={analyses[1]}/frames.parquet"),
    ]
    assert len(read_points(tables, success).labels) == 8


def test_an_episode_alone_joins_one_checkpoint(analyses, tmp_path):
    trials = [row[1:] for row in TRIALS if row[0] == "builtin:a"]
    success = write(tmp_path / "s.csv", "episode,task,seed,success", trials)
    points = read_points([NmrTable.of(str(analyses[0]))], success)
    assert points.keys == ("episode",)
    assert set(points.clusters) == {"task", "seed"}


def test_checkpoints_are_not_averaged(analyses, tmp_path):
    trials = [row[1:] for row in TRIALS if row[0] == "builtin:a"]
    success = write(tmp_path / "s.csv", "episode,task,seed,success", trials)
    with pytest.raises(
        ValueError, match=r"policies builtin:a, builtin:b, and '.*s.csv' has no column 'policy'"
    ):
        read_points([NmrTable.of(str(path)) for path in analyses], success)
    named = write(tmp_path / "p.csv", "policy,episode,task,seed,success", TRIALS)
    bare = [NmrTable(path / "frames.csv") for path in analyses]
    with pytest.raises(ValueError, match=r"is one of 2 tables and names no policy; give NAME=.*frames.csv"):
        read_points(bare, named)


def test_a_path_may_hold_an_equals_sign(tmp_path):
    path = write(tmp_path / "a=b.csv", "task,nmr_10", [("t", 0.5)])
    assert NmrTable.of(str(path)) == NmrTable(path)


def test_a_directory_without_a_complete_analysis_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no analysis; give a table, or a directory of analyze_bag"):
        NmrTable.of(str(tmp_path))
    RunDirectory(tmp_path).write_info({"status": "running"})
    with pytest.raises(ValueError, match="is not complete; start analyze_bag again"):
        NmrTable.of(str(tmp_path))


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    rows = [(f"p{policy}", f"t{task}") for policy in range(2) for task in range(6)]
    nmr = write(
        tmp_path / "n.csv", "policy,task,nmr_10", [(*row, 0.1 * n) for n, row in enumerate(rows)], "utf-8-sig"
    )
    success = write(
        tmp_path / "s.csv", "policy,task,success", [(*row, 1 - 0.05 * n) for n, row in enumerate(rows)]
    )
    points = read(nmr, success)
    assert points.keys == ("policy", "task")
    assert len(points.labels) == 12


def test_rows_that_are_averaged_are_told(tmp_path):
    rows = [("p0", "a", 0, 0.1), ("p0", "a", 1, 0.3), ("p1", "a", 0, 0.5), ("p0", "b", 0, 0.7)]
    nmr = write(tmp_path / "n.csv", "policy,task,seed,nmr_10", rows)
    points = read(nmr, write(tmp_path / "s.csv", "task,success", [("a", 1), ("b", 0)]))
    assert points.averaged == ("policy", "seed")
    assert list(points.clusters) == ["task"]
    assert points.nmr[10] == pytest.approx([0.3, 0.7])


def test_an_empty_success_is_missing(tmp_path):
    nmr = write(tmp_path / "n.csv", "task,nmr_10", [("a", 0.1), ("b", 0.2), ("c", 0.3)])
    success = write(tmp_path / "s.csv", "task,success", [("a", 1), ("a", ""), ("b", " "), ("c", "nan")])
    points = read(nmr, success)
    assert points.labels == (("a",),)
    assert points.success.tolist() == [1]
    assert points.missing == 3
    assert points.unmatched == 0
    with pytest.raises(ValueError, match=r"has no success: all of its 1 cells are empty"):
        read(nmr, write(tmp_path / "e.csv", "task,success", [("a", "")]))


def test_memory_holds_the_keys_and_not_the_rows(tmp_path):
    header = "task,nmr_10," + ",".join(f"column{number}" for number in range(30))
    rows = [(f"t{number % 4}", 0.1 * (number % 4), *["text"] * 30) for number in range(5000)]
    nmr = write(tmp_path / "n.csv", header, rows)
    success = write(tmp_path / "s.csv", "task,success", [(f"t{number}", 0.2 * number) for number in range(4)])
    tracemalloc.start()
    try:
        read(nmr, success)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The rows as dictionaries take 10 MB.
    assert peak < 1_000_000


@pytest.fixture
def tables(tmp_path):
    nmr = [(f"t{task}", 0.1 * task) for task in range(4)]
    return (
        write(tmp_path / "nmr.csv", "task,nmr_10", nmr),
        write(tmp_path / "success.csv", "task,success", [("t0", 0.5)]),
    )


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("task,success", ("t0", 2), r"line 2: success must be in \[0, 1\], got 2"),
        ("task,success", ("t0", "inf"), r"line 2: success must be in \[0, 1\], got inf"),
        ("task,success", ("t0", "yes"), "line 2: success must be a number, got 'yes'"),
        ("task,done", ("t0", 1), "no column 'success'"),
        ("name,success", ("t0", 1), "share none of the columns"),
        ("task,success", ("other", 1), r"nmr.csv' has t0 and '.*bad.csv' has other; are they named alike\?"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables, tmp_path, header, row, message):
    with pytest.raises(ValueError, match=message):
        read(tables[0], write(tmp_path / "bad.csv", header, [row]))


def test_a_table_without_rows_or_nmr_is_refused(tables, tmp_path):
    with pytest.raises(ValueError, match="has no rows"):
        read(write(tmp_path / "empty.csv", "task,nmr_10", []), tables[1])
    with pytest.raises(ValueError, match="no column nmr_<k>"):
        read(tables[1], tables[1])
    with pytest.raises(ValueError, match="has no column 'robot'"):
        read(*tables, keys=["robot"])


def test_tables_must_share_a_k(tables, tmp_path):
    other = write(tmp_path / "other.csv", "task,nmr_20", [("t0", 0.1)])
    both = [NmrTable(tables[0], "a"), NmrTable(other, "b")]
    success = write(tmp_path / "s.csv", "policy,task,success", [("a", "t0", 0.5)])
    with pytest.raises(ValueError, match=r"share no nmr_<k>; they have k = \[10\]; \[20\]"):
        read_points(both, success)


@pytest.mark.parametrize("name", ["absent.csv", "absent.parquet"])
def test_what_cannot_be_read_is_named(tables, tmp_path, name):
    with pytest.raises(ValueError, match=rf"^cannot read '.*{name}'"):
        read(tmp_path / name, tables[1])
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"^cannot read '.*broken.parquet'"):
        read(tmp_path / "broken.parquet", tables[1])
    (tmp_path / "latin.csv").write_bytes(b"task,nmr_10\n\xe9,1\n")
    with pytest.raises(ValueError, match=r"^cannot read '.*latin.csv'"):
        read(tmp_path / "latin.csv", tables[1])
