# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``compare_bags``: two analyses, before and after."""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from vla_iss_ros.analysis.before_after import Change, compare, different_meanings, draw_changes, other_labels
from vla_iss_ros.analysis.comparison_pages import changes_page
from vla_iss_ros.analysis.run_directory import AnalysisRun
from vla_iss_ros.render.files import write_atomically
from vla_iss_ros.render.text import with_interval

PROGRAM = "compare_bags"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after one line on stderr when the analyses cannot be compared."""
    options = _parser().parse_args(arguments)
    try:
        with AnalysisRun.open(options.before) as before, AnalysisRun.open(options.after) as after:
            apart = different_meanings(before.info["identity"], after.info["identity"])
            if apart and not options.different_settings:
                raise ValueError(
                    f"NMR means something else in the two analyses ({'; '.join(apart)}); analyse both alike, or give "
                    "--different-settings if that is meant"
                )
            labels = other_labels(before.info["identity"], after.info["identity"])
            percent = before.settings.nmr_percent
            changes = compare(before.rows, after.rows, percent, before.settings.seed)
        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out / "comparison.csv", _as_csv(changes).encode())
        picture = draw_changes(changes, (str(options.before), str(options.after)))
        write_atomically(options.out / "comparison.png", picture)
        page = changes_page(changes, (str(options.before), str(options.after)))
        write_atomically(options.out / "comparison.html", page.encode())
    except (ImportError, ValueError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if labels:
        print(f"{PROGRAM}: the regions come from other files ({'; '.join(labels)})")
    for each in changes:
        print(f"  {each.name:<24}  {_said(each)}")
    print(f"{PROGRAM}: {changes[0].name} {_said(changes[0])}")
    return 0


def _said(change: Change) -> str:
    before, after = (
        with_interval(each.value, each.low, each.high)
        if math.isfinite(each.value)
        else f"undefined ({each.reason})"
        for each in (change.before, change.after)
    )
    line = f"{before} -> {after}"
    if math.isfinite(change.low):
        line += f", by {change.difference:+.2f} [{change.low:+.2f}, {change.high:+.2f}]"
        line += f", up with probability {change.above:.2f}"
    return line


def _as_csv(changes: Sequence[Change]) -> str:
    stream = io.StringIO()
    table = csv.writer(stream)
    header = "quantity,before,before_low,before_high,before_frames,after,after_low,after_high,after_frames"
    table.writerow([*header.split(","), "difference", "low", "high", "probability_up"])
    for each in changes:
        sides = [(side.value, side.low, side.high, side.count) for side in (each.before, each.after)]
        table.writerow([each.name, *sides[0], *sides[1], each.difference, each.low, each.high, each.above])
    return stream.getvalue()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Compare two analyses made by analyze_bag: before and after a change of scene.",
    )
    parser.add_argument("before", type=Path, help="directory of analyze_bag")
    parser.add_argument("after", type=Path, help="directory of analyze_bag")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="gets comparison.html, .csv and .png"
    )
    parser.add_argument(
        "--different-settings",
        action="store_true",
        help="compare although settings, donors, stride or regions differ",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
