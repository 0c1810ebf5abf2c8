# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from scipy import stats

from vla_iss_ros.analysis.correlation import correlate, draw_scatter
from vla_iss_ros.analysis.correlation_points import NmrTable, read_points


def write(path, header, rows):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def tables(tmp_path):
    rng = np.random.default_rng(0)
    nmr, success = [], []
    for task in range(8):
        for seed in range(3):
            value = 0.2 + 0.08 * task + 0.02 * rng.normal()
            for _ in range(4):  # frames
                nmr.append((f"t{task}", seed, value + 0.01 * rng.normal(), 1 - value))
            success.append((f"t{task}", seed, min(1, max(0, 0.9 - value + 0.03 * rng.normal()))))
    return (
        write(tmp_path / "nmr.csv", "task,seed,nmr_10,nmr_50", nmr),
        write(tmp_path / "success.csv", "task,seed,success", success),
    )


def read(nmr, success, keys=()):
    return read_points([NmrTable(nmr)], success, keys)


def found_by(found):
    return {(each.name, each.percent): each for each in found}


def test_coefficients_are_those_of_scipy(tables):
    points = read(*tables)
    assert points.keys == ("task", "seed")
    assert len(points.labels) == 24
    found = found_by(correlate(points, 0, draws=50))
    pearson = stats.pearsonr(points.nmr[10], points.success).statistic
    spearman = stats.spearmanr(points.nmr[10], points.success).statistic
    assert found["pearson", 10].value == pytest.approx(pearson)
    assert found["spearman", 10].value == pytest.approx(spearman)
    assert found["pearson", 50].value == pytest.approx(-found["pearson", 10].value, abs=0.02)


def test_intervals_hold_the_value_and_follow_the_seed(tables):
    points = read(*tables)
    one, again = (found_by(correlate(points, 3, draws=200))["pearson", 10] for _ in range(2))
    assert one == again
    assert one.low <= one.value <= one.high < 0


def test_points_of_a_task_stand_and_fall_together(tmp_path):
    # Ten seeds of each of two tasks are no twenty points: a draw of one task alone has hardly any slope.
    rows = [(f"t{task}", seed, 0.2 + 0.5 * task, 0.9 - 0.6 * task) for task in range(2) for seed in range(10)]
    rows = [(*row[:2], row[2] + 0.001 * row[1], row[3] + 0.001 * (row[1] * 7 % 10)) for row in rows]
    nmr = write(tmp_path / "n.csv", "task,seed,nmr_10", [row[:3] for row in rows])
    success = write(tmp_path / "s.csv", "task,seed,success", [(row[0], row[1], row[3]) for row in rows])
    clustered = found_by(correlate(read(nmr, success), 0, draws=400))["pearson", 10]
    assert clustered.value < -0.99
    assert clustered.high > 0


def test_undefined_values_are_left_out_and_too_few_points_say_so(tmp_path):
    nmr = write(tmp_path / "n.csv", "task,nmr_10", [("a", 0.1), ("b", ""), ("c", "nan"), ("d", 0.4)])
    success = write(tmp_path / "s.csv", "task,success", [("a", 1), ("b", 0), ("c", 0), ("d", 0), ("e", 1)])
    points = read(nmr, success)
    assert points.unmatched == 1
    (pearson, _) = correlate(points, 0, draws=10)
    assert math.isnan(pearson.value)
    assert pearson.reason == "needs at least 3 points with a defined NMR, got 2"


def test_a_constant_has_no_correlation(tmp_path):
    nmr = write(tmp_path / "n.csv", "task,nmr_10", [("a", 0.1), ("b", 0.2), ("c", 0.3)])
    success = write(tmp_path / "s.csv", "task,success", [("a", 1), ("b", 1), ("c", 1)])
    assert correlate(read(nmr, success), 0, draws=10)[0].reason == "success is the same everywhere"


def test_the_scatter_is_a_picture(tables):
    points = read(*tables)
    assert draw_scatter(points, 10, correlate(points, 0, draws=20)).startswith(b"\x89PNG")
