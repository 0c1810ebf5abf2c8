"""Command line of ``correlate``: a table of NMR against a table of success."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from vla_iss_ros.analysis.correlation import Correlation, correlate, draw_scatter, read_points
from vla_iss_ros.render.files import write_atomically

PROGRAM = "correlate"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after one line on stderr when the tables cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        points = read_points(options.nmr, options.success, options.keys or ())
        percent = options.percent if options.percent in points.nmr else None
        if percent is None:
            raise ValueError(
                f"'{options.nmr}' has no column nmr_{options.percent}; it has k = {sorted(points.nmr)}"
            )
        found = correlate(points, options.seed)
        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out / "correlation.csv", _as_csv(found).encode())
        write_atomically(options.out / "correlation.png", draw_scatter(points, percent, found))
    except (ValueError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if points.unmatched:
        print(
            f"{PROGRAM}: {points.unmatched} of {', '.join(points.keys)} are in one table alone",
            file=sys.stderr,
        )
    for each in found:
        print(f"  k = {each.percent:2d} %  {each.name:<8}  {_said(each)}")
    pearson = next(each for each in found if each.percent == percent and each.name == "pearson")
    print(f"{PROGRAM}: NMR@{percent} and success over {pearson.count} points: r = {_said(pearson)}")
    return 0


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
    parser.add_argument("nmr", type=Path, help="CSV with nmr_<k>, such as frames.csv of analyze_bag")
    parser.add_argument("success", type=Path, help="CSV with a column success in [0, 1]")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="gets correlation.csv and .png"
    )
    parser.add_argument(
        "--keys",
        nargs="+",
        metavar="COLUMN",
        help="what identifies a point (those of policy, task, seed, episode, source in both tables)",
    )
    parser.add_argument("--percent", type=int, default=10, metavar="K", help="k of the plot (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the intervals (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
