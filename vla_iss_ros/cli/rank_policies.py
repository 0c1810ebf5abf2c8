# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``rank_policies``: which checkpoint looks least at nuisance, on the same frames."""

from __future__ import annotations

import argparse
import csv
import io
import math
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from vla_iss_ros.analysis.bag_analysis import Order, Outcome, analyse, counted, require_policy_of
from vla_iss_ros.analysis.comparison_pages import ranking_page
from vla_iss_ros.analysis.ranking import Ranked, draw_ranking, rank
from vla_iss_ros.analysis.run_directory import AnalysisRun, RunDirectory
from vla_iss_ros.cli.analysis_options import add_analysis_options, order_of, told_apart
from vla_iss_ros.cli.analysis_progress import ShownProgress
from vla_iss_ros.cli.analyze_bag import INTERRUPTED, interrupt
from vla_iss_ros.cli.engine_options import add_engine_options, chosen_engine
from vla_iss_ros.render.files import write_atomically
from vla_iss_ros.render.text import with_interval

PROGRAM = "rank_policies"
ABOVE = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Return 0; 1 when a recording was skipped; 2 after one line on stderr when nothing could be done; 3 when a policy's
    mean NMR is above ``--fail-above``, whatever was skipped; 130 when it was interrupted, and can be resumed.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        ranked, percent, outcomes = rank_policies(options)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; start it again to go on", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, RuntimeError, ImportError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for place, each in enumerate(ranked, 1):
        print(f"{PROGRAM}: {place}. {_line(each, percent)}")
    if options.fail_above is not None and any(each.nmr.value > options.fail_above for each in ranked):
        return ABOVE
    return int(any(outcome.skipped for outcome in outcomes))


def rank_policies(options: argparse.Namespace) -> tuple[list[Ranked], int, list[Outcome]]:
    """Analyse the recordings under every policy into directories of their own; return the ranking, its k and outcomes.

    Writes ranking.csv, ranking.png and ranking.html. No work starts before all policies are known to be there.
    """
    _check(options)
    first = argparse.Namespace(**{**vars(options), "policy": options.policy[0]})
    order = order_of(first, say=lambda line: print(f"{PROGRAM}: {line}", flush=True))
    orders = {
        policy: replace(order, settings={**order.settings, "policy": policy}) for policy in options.policy
    }
    directories = {
        policy: RunDirectory(options.out / name)
        for policy, name in zip(orders, directory_names(options.policy), strict=True)
    }
    for policy, each in orders.items():
        require_policy_of(each, directories[policy], options.restart)
    outcomes, rows, reports, percent, seed = [], {}, {}, 10, 0
    for policy, each in orders.items():
        directory = directories[policy]
        outcomes.append(_analysed(policy, each, directory, options))
        with AnalysisRun.open(directory.path) as run:
            reports[policy] = f"{quote(directory.path.name)}/{directory.report.name}"
            rows[policy], percent, seed = run.rows, run.settings.nmr_percent, run.settings.seed
    ranked = rank(rows, percent, seed)
    write_atomically(options.out / "ranking.csv", _as_csv(ranked, percent).encode())
    write_atomically(options.out / "ranking.png", draw_ranking(ranked, percent))
    write_atomically(options.out / "ranking.html", ranking_page(ranked, percent, reports).encode())
    return ranked, percent, outcomes


def directory_names(policies: Sequence[str]) -> list[str]:
    """Return a directory's name for each policy: the policy's own, numbered where several have it."""
    return told_apart([re.sub(r"[^\w.-]+", "_", policy) for policy in policies], "-")


def _check(options: argparse.Namespace) -> None:
    """Raise ValueError for options that cannot be used."""
    if len(set(options.policy)) != len(options.policy):
        raise ValueError(f"--policy must name different policies, got {', '.join(options.policy)}")
    if options.fail_above is not None and not math.isfinite(options.fail_above):
        raise ValueError(f"--fail-above must be a finite number, got {options.fail_above}")


def _analysed(policy: str, order: Order, directory: RunDirectory, options: argparse.Namespace) -> Outcome:
    """Analyse under one policy; say what was left out."""
    with ShownProgress(f"{PROGRAM}: {policy}") as progress:
        outcome = analyse(
            order, directory, chosen_engine(options), restart=options.restart, progress=progress
        )
    if outcome.problems:
        print(f"{PROGRAM}: {policy}: left out or missing: {counted(outcome.problems)}", file=sys.stderr)
    return outcome


def _line(ranked: Ranked, percent: int) -> str:
    nmr = with_interval(ranked.nmr.value, ranked.nmr.low, ranked.nmr.high)
    line = f"{ranked.policy} NMR@{percent} = {nmr}, chance {ranked.chance:.2f}, {ranked.nmr.count} frames"
    if not math.isnan(ranked.below):
        apart = with_interval(ranked.difference.value, ranked.difference.low, ranked.difference.high)
        line += f", next one higher by {apart}, below it with probability {ranked.below:.2f}"
    return f"{line}, {ranked.seconds:.2f} s a frame"


def _as_csv(ranked: Sequence[Ranked], percent: int) -> str:
    stream = io.StringIO()
    table = csv.writer(stream)
    nmr = f"nmr_{percent}"
    header = f"policy,{nmr},{nmr}_low,{nmr}_high,chance,frames,next_minus_this,next_minus_this_low,next_minus_this_high"
    table.writerow([*header.split(","), "probability_below_next", "seconds_policy"])
    for each in ranked:
        apart = each.difference
        row = [each.policy, each.nmr.value, each.nmr.low, each.nmr.high, each.chance, each.nmr.count]
        table.writerow([*row, apart.value, apart.low, apart.high, each.below, each.seconds])
    return stream.getvalue()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Rank policies by NMR over the same frames of recordings, lowest first."
    )
    add_analysis_options(parser, several_policies=True)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="gets a directory a policy, ranking.html, ranking.csv and ranking.png",
    )
    parser.add_argument("--restart", action="store_true", help="throw away what DIR holds and begin anew")
    add_engine_options(parser)
    parser.add_argument(
        "--fail-above", type=float, metavar="X", help="status 3 when a policy's mean NMR is above X"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
