# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

from vla_iss_ros.analysis.bootstrap import MeanInterval
from vla_iss_ros.analysis.episodes import Summary
from vla_iss_ros.cli.demo_report import Entry, last_line, share, table


def summary(value=0.213, low=0.158, high=0.267, chance=0.314, samples=(128, 128), effects=None, reasons=None):
    reason = "no regions" if math.isnan(value) else ""
    return Summary(
        40, samples, MeanInterval(value, low, high, 40, reason), chance, effects or {}, reasons or {}
    )


def test_last_line_has_the_form_that_programs_read():
    line = last_line({"clean": summary(), "shortcut": summary(0.678, 0.61, 0.73)}, 10, Path("demo_output"))
    assert line == (
        "demo: clean NMR@10 = 0.21 [0.16, 0.27], shortcut NMR@10 = 0.68 [0.61, 0.73], chance = 0.31; "
        "pictures in demo_output"
    )


def test_last_line_prints_nan_where_nothing_is_defined():
    nothing = summary(math.nan, math.nan, math.nan, math.nan)
    line = last_line({"clean": nothing, "shortcut": nothing}, 10, Path("out"))
    assert line == (
        "demo: clean NMR@10 = nan [nan, nan], shortcut NMR@10 = nan [nan, nan], chance = nan; pictures in out"
    )


def test_table_has_a_line_an_entry_and_aligned_columns():
    entries = [
        Entry("clean", "donor", summary(effects={"front": 0.43, "state": 0.012})),
        Entry("clean", "blur", summary(samples=(96, 128))),
    ]
    lines = table(entries, 10).splitlines()
    assert lines[0].split() == ["policy", "baseline", "frames", "N", "NMR@10", "chance", "front", "state"]
    assert " ".join(lines[2].split()) == "clean donor 40 128 0.21 [0.16, 0.27] 0.31 43 % 1.2 %"
    assert " ".join(lines[3].split()) == "clean blur 40 96-128 0.21 [0.16, 0.27] 0.31"
    assert lines[2].index("0.21") == lines[3].index("0.21") == lines[0].index("NMR@10")


def test_table_gives_the_reason_of_every_nan():
    entry = Entry(
        "clean",
        "donor",
        summary(
            math.nan, math.nan, math.nan, effects={"state": math.nan}, reasons={"state": "no recorded mean"}
        ),
    )
    text = table([entry], 10)
    assert "nan, clean, donor, NMR: no regions" in text
    assert "nan, clean, donor, state: no recorded mean" in text


def test_shares():
    assert [share(value) for value in (0.434, 0.0123, 1.16, math.nan)] == ["43 %", "1.2 %", "116 %", "nan"]
