# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""compare_bags on analyses of the sample bag."""

import pytest

from vla_iss_ros.cli.analyze_bag import main as analyze
from vla_iss_ros.cli.compare_bags import main
from vla_iss_ros.policies.loading import shipped_samples


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    for name, changes in (
        ("a", []),
        ("c", ["--samples", "34"]),
        ("d", ["--actor-labels", "2", "--support-labels", "1", "--stride", "90"]),
    ):
        command = [str(shipped_samples() / "metaworld"), "--policy", "builtin", "--out", str(place / name)]
        less = ["--stride", "60", "--samples", "32", "--without", "maps", "videos", "mcap"]
        assert analyze([*command, *less, *changes]) == 0
    return place


def test_an_analysis_beside_itself_has_no_change(runs, tmp_path, capsys):
    assert main([str(runs / "a"), str(runs / "a"), "--out", str(tmp_path / "out")]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("compare_bags: NMR@10 0.")
    assert ", by +0.00 [" in last
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "comparison.csv",
        "comparison.html",
        "comparison.png",
    ]


def test_other_settings_are_refused_unless_meant(runs, tmp_path, capsys):
    command = [str(runs / "a"), str(runs / "c"), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "something else in the two analyses (samples was 32 and is now 34)" in capsys.readouterr().err
    assert main([*command, "--different-settings"]) == 0


def test_other_regions_and_strides_are_refused_as_well(runs, tmp_path, capsys):
    assert main([str(runs / "a"), str(runs / "d"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "actor_labels was [1] and is now [2]; support_labels was [2, 3] and is now [1]" in said
    assert "stride was 60 and is now 90" in said
    assert not (tmp_path / "out").exists()


def test_what_is_no_analysis_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
