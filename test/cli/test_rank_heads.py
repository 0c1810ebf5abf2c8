# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import csv
import re

import pytest

from vla_iss_ros.cli.rank_heads import main
from vla_iss_ros.policies.loading import shipped_samples

BAG = str(shipped_samples() / "metaworld")


def test_heads_of_the_shipped_policy_on_the_sample_bag(tmp_path, capsys):
    out = tmp_path / "heads.csv"
    assert main([BAG, "--device", "cpu", "--frames", "2", "--samples", "64", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert re.fullmatch(r" +1\. layer \d head \d  contrast \S+ \+- \S+  \(\d+\.\d%\)", lines[0])
    assert lines[-1] == f"rank_heads: 12 heads of builtin over 2 frames; wrote {out}"
    with out.open() as file:
        rows = list(csv.DictReader(file))
    contrasts = [float(row["contrast"]) for row in rows]
    assert contrasts == sorted(contrasts, reverse=True)
    assert lines[0].split()[1:5] == rows[0]["head"].split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([BAG, "--frames", "1"], "need 2 or more frames, got 1"),
        (["/absent"], "/absent"),
        ([BAG, "--samples", "0"], "samples must be"),
        ([BAG, "--policy", "builtin:/absent"], "no checkpoint at '/absent'"),
        ([BAG, "--out", "/absent/heads.csv"], "--out must lie in a directory that is there"),
        ([BAG, "--estimator", "leave_one_out", "--keep-probability", "2"], "keep_probability must be"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, arguments, message):
    assert main([*arguments, "--device", "cpu"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("rank_heads: ")
    assert len(printed.err.splitlines()) == 1
    assert message in printed.err
