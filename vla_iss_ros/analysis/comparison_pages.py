# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""HTML pages of a ranking and of a comparison before and after, in the look of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from vla_iss_ros.analysis.before_after import Change
from vla_iss_ros.analysis.bootstrap import MeanInterval, interval_note
from vla_iss_ros.analysis.ranking import Paired, Ranked
from vla_iss_ros.analysis.report_page import html_page, interval_plot
from vla_iss_ros.render.text import with_interval

# A probability this far from even is called clear.
CLEAR = 0.95


def ranking_page(ranked: Sequence[Ranked], percent: int, reports: Mapping[str, str]) -> str:
    """Return the page of a ranking, best first; ``reports``: policy to the address of its own report."""
    best = ranked[0]
    said = f"<b>{escape(best.policy)}</b> has the lowest NMR: of its {percent} % most salient positions "
    said += f"{best.nmr.value:.0%} lie on nuisance, where chance is {best.chance:.0%}. {_ahead(best)}"
    value = with_interval(best.nmr.value, best.nmr.low, best.nmr.high)
    note = interval_note(best.nmr.episodes)
    answer = (
        f'<section><p class="headline">{escape(best.policy)} first, NMR@{percent} {value}</p><p>{said}</p>'
        f'<p class="soft">{best.nmr.count} explained frames where every policy has an NMR. {note} NMR says where a '
        "policy looks, not how well it acts: one that has learned nothing can rank first.</p></section>"
    )
    lines = "".join(_ranked(place, each, reports.get(each.policy)) for place, each in enumerate(ranked, 1))
    table = (
        f'<section><h2>Ranking</h2><div class="scroll"><table><tr><th class="n"></th><th>policy</th>'
        f'<th class="bars">NMR@{percent}</th><th class="n">mean</th><th class="n">next one higher by</th>'
        '<th class="n">below it, probability</th><th class="n">s a frame</th></tr>'
        f'{lines}</table></div><p class="soft">Point and line: mean with its 95 % interval, each policy '
        "for itself: lines that overlap do not mean that policies are alike. Dashed: chance. Differences are paired, "
        "on the same frames.</p></section>"
    )
    return html_page(f"{len(ranked)} policies on the same frames", [answer, table, _pairs(ranked)])


def _pairs(ranked: Sequence[Ranked]) -> str:
    """Return the table of every policy against every other; of two it would say nothing new."""
    if len(ranked) < 3:
        return ""
    head = "".join(f'<th class="n">than {place}.</th>' for place in range(1, len(ranked) + 1))
    lines = "".join(
        f'<tr><td class="n">{place}.</td><td class="name">{escape(each.policy)}</td>'
        f"{''.join(_pair(each.others.get(other.policy)) for other in ranked)}</tr>"
        for place, each in enumerate(ranked, 1)
    )
    return (
        '<section><h2>Every pair</h2><div class="scroll"><table><tr><th class="n"></th><th>policy</th>'
        f'{head}</tr>{lines}</table></div><p class="soft">By how much a line\'s policy is lower than the one of the '
        "column (95 % interval of the paired difference), and the probability that it is.</p></section>"
    )


def _pair(pair: Paired | None) -> str:
    if pair is None or math.isnan(pair.difference.value):
        return '<td class="n">-</td>'
    apart = pair.difference
    sure = "" if math.isnan(pair.below) else f'<br><span class="soft">{_number(pair.below)}</span>'
    return f'<td class="n">{with_interval(apart.value, apart.low, apart.high)}{sure}</td>'


def _ahead(best: Ranked) -> str:
    if math.isnan(best.below):
        return "There is nothing, or too little, to compare it with."
    how = "clearly" if best.below >= CLEAR else "not clearly"
    return f"It is {how} below the next one (probability {best.below:.2f})."


def _ranked(place: int, each: Ranked, report: str | None) -> str:
    name = escape(each.policy)
    linked = f'<a href="{escape(report)}">{name}</a>' if report else name
    apart = each.difference
    higher = "-" if math.isnan(apart.value) else with_interval(apart.value, apart.low, apart.high)
    return (
        f'<tr><td class="n">{place}</td><td class="name">{linked}</td>'
        f"<td>{interval_plot([('nmr', each.nmr)], each.chance)}</td>"
        f'<td class="n">{with_interval(each.nmr.value, each.nmr.low, each.nmr.high)}</td><td class="n">{higher}</td>'
        f'<td class="n">{_number(each.below)}</td><td class="n">{_number(each.seconds)}</td></tr>'
    )


def changes_page(changes: Sequence[Change], names: tuple[str, str]) -> str:
    """Return the page of a comparison; ``names`` of the analyses before and after."""
    first = changes[0]
    note = interval_note(first.before.episodes, first.after.episodes)
    headline = f"{escape(first.name)} {_side(first.before)} &rarr; {_side(first.after)}"
    answer = (
        f'<section><p class="headline">{headline}</p><p>{_verdict(first)}</p>'
        f'<p class="soft">Before: {escape(names[0])}, {first.before.count} frames. After: {escape(names[1])}, '
        f"{first.after.count} frames. {note} A higher NMR in a scene with more nuisance may be the scene's: "
        "compare it with the change of chance.</p></section>"
    )
    lines = "".join(_changed(each) for each in changes)
    table = (
        '<section><h2>What changed</h2><div class="scroll"><table><tr><th>quantity</th><th class="bars"></th>'
        '<th class="n">before</th><th class="n">after</th><th class="n">difference</th>'
        f'<th class="n">went up, probability</th></tr>{lines}</table></div><p class="soft">Upper line: before. Lower '
        "line: after. Means over explained frames with 95 % intervals; nothing is paired, for the frames are others."
        "</p></section>"
    )
    before, after = (Path(name).resolve().name for name in names)
    return html_page(f"{before} and {after}", [answer, table])


def _verdict(change: Change) -> str:
    if not math.isfinite(change.low):
        return "There are too few frames to tell a change."
    said = f"The difference is {change.difference:+.2f} [{change.low:+.2f}, {change.high:+.2f}]: "
    if change.low > 0:
        return said + "it went up."
    if change.high < 0:
        return said + "it went down."
    return said + "the frames do not tell a change from none."


def _changed(change: Change) -> str:
    apart = "-"
    if math.isfinite(change.low):
        apart = f"{change.difference:+.2f} [{change.low:+.2f}, {change.high:+.2f}]"
    plot = interval_plot([("before", change.before), ("nmr", change.after)])
    return (
        f'<tr><td>{escape(change.name)}</td><td>{plot}</td><td class="n">{_side(change.before)}</td>'
        f'<td class="n">{_side(change.after)}</td><td class="n">{apart}</td>'
        f'<td class="n">{_number(change.above)}</td></tr>'
    )


def _side(mean: MeanInterval) -> str:
    if not math.isfinite(mean.value):
        return f"undefined ({escape(mean.reason)})"
    return with_interval(mean.value, mean.low, mean.high)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
