# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``correlate``: tables of NMR against a table of success."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from vla_iss_ros.analysis.correlation import Correlation, correlate, draw_scatter
from vla_iss_ros.analysis.correlation_points import NmrTable, Points, read_points
from vla_iss_ros.render.files import write_atomically

PROGRAM = "correlate"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after one line on stderr when the tables cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        tables = [NmrTable.of(text) for text in options.nmr]
        points = read_points(tables, options.success, options.keys or ())
        percent = options.percent
        if percent not in points.nmr:
            paths = " and ".join(f"'{table.path}'" for table in tables)
            raise ValueError(f"{paths} has no column nmr_{percent}; it has k = {sorted(points.nmr)}")
        found = correlate(points, options.seed)
        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out / "correlation.csv", _as_csv(found).encode())
        write_atomically(options.out / "correlation.png", draw_scatter(points, percent, found))
    except (ValueError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    _say_how(points, options.success)
    for each in found:
        print(f"  k = {each.percent:2d} %  {each.name:<8}  {_said(each)}")
    pearson = next(each for each in found if each.percent == percent and each.name == "pearson")
    print(f"{PROGRAM}: NMR@{percent} and success over {pearson.count} points: r = {_said(pearson)}")
    return 0


def _say_how(points: Points, success: Path) -> None:
    """Print what the rows were matched by, and what is left out."""
    drawn = f"intervals draw {' and '.join(points.clusters)}" if points.clusters else "intervals draw points"
    averaged = f", averaged over {', '.join(points.averaged)}" if points.averaged else ""
    print(f"{PROGRAM}: rows are matched by {', '.join(points.keys)}{averaged}; {drawn}")
    if points.unmatched:
        print(
            f"{PROGRAM}: {points.unmatched} of {', '.join(points.keys)} are in one table alone",
            file=sys.stderr,
        )
    if points.missing:
        print(
            f"{PROGRAM}: {points.missing} rows of '{success}' have no success and are left out",
            file=sys.stderr,
        )


def _said(each: Correlation) -> str:
    if each.value != each.value:
        return f"undefined ({each.reason})"
    if each.low != each.low:
        return f"{each.value:.2f} [no interval: {each.reason}]"
    return f"{each.value:.2f} [{each.low:.2f}, {each.high:.2f}]"


def _as_csv(found: Sequence[Correlation]) -> str:
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(["k", "coefficient", "value", "low", "high", "points", "reason"])
    for each in found:
        table.writerow([each.percent, each.name, each.value, each.low, each.high, each.count, each.reason])
    return stream.getvalue()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Correlate NMR with success over tasks, seeds, episodes or policies."
    )
    parser.add_argument(
        "nmr",
        nargs="+",
        metavar="[POLICY=]NMR",
        help="directory of analyze_bag, or CSV or Parquet with nmr_<k>; several need different policies: that of "
        "run.json, of a column policy, or POLICY",
    )
    parser.add_argument("success", type=Path, help="CSV with a column success in [0, 1]")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="gets correlation.csv and .png"
    )
    parser.add_argument(
        "--keys",
        nargs="+",
        metavar="COLUMN",
        help="what identifies a point (those of policy, task, seed, episode, source in all tables)",
    )
    parser.add_argument("--percent", type=int, default=10, metavar="K", help="k of the plot (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the intervals (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
