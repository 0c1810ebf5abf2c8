"""Command line of ``rank_policies``: which checkpoint looks least at nuisance, on the same frames."""

from __future__ import annotations

import argparse
import csv
import io
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from vla_iss_ros.analysis.bag_analysis import analyse
from vla_iss_ros.analysis.comparison_pages import ranking_page
from vla_iss_ros.analysis.ranking import Ranked, draw_ranking, rank
from vla_iss_ros.analysis.run_directory import AnalysisRun, RunDirectory
from vla_iss_ros.cli.analysis_options import add_analysis_options, order_of
from vla_iss_ros.cli.analysis_progress import ShownProgress
from vla_iss_ros.cli.engine_options import add_engine_options, chosen_engine
from vla_iss_ros.render.files import write_atomically
from vla_iss_ros.render.text import with_interval

PROGRAM = "rank_policies"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Return 0; 1 when a policy's mean NMR is above ``--fail-above``; 2 after one line on stderr when nothing could be
    done; 130 when it was interrupted, and can be resumed.
    """
    options = _parser().parse_args(arguments)
    try:
        ranked, percent = rank_policies(options)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; start it again to go on", file=sys.stderr)
        return 130
    except (ValueError, RuntimeError, ImportError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for place, each in enumerate(ranked, 1):
        print(f"{PROGRAM}: {place}. {_line(each, percent)}")
    return int(options.fail_above is not None and any(each.nmr.value > options.fail_above for each in ranked))


def rank_policies(options: argparse.Namespace) -> tuple[list[Ranked], int]:
    """Analyse the recordings under every policy into directories of their own; return the ranking and its k.

    Writes ranking.csv, ranking.png and ranking.html.
    """
    if len(set(options.policy)) != len(options.policy):
        raise ValueError(f"--policy must name different policies, got {', '.join(options.policy)}")
    rows, reports, percent, seed = {}, {}, 10, 0
    for number, policy in enumerate(options.policy, 1):
        one = argparse.Namespace(**{**vars(options), "policy": policy})
        order = order_of(one, say=lambda line: print(f"{PROGRAM}: {line}", flush=True))
        slug = re.sub(r"[^\w.-]+", "_", policy)
        directory = RunDirectory(options.out / f"{number}-{slug}")
        with ShownProgress(f"{PROGRAM}: {policy}") as progress:
            analyse(order, directory, chosen_engine(options), restart=options.restart, progress=progress)
        with AnalysisRun.open(directory.path) as run:
            reports[policy] = f"{quote(directory.path.name)}/{directory.report.name}"
            rows[policy], percent, seed = run.rows, run.settings.nmr_percent, run.settings.seed
    ranked = rank(rows, percent, seed)
    write_atomically(options.out / "ranking.csv", _as_csv(ranked, percent).encode())
    write_atomically(options.out / "ranking.png", draw_ranking(ranked, percent))
    write_atomically(options.out / "ranking.html", ranking_page(ranked, percent, reports).encode())
    return ranked, percent


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
        "--fail-above", type=float, metavar="X", help="status 1 when a policy's mean NMR is above X"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
