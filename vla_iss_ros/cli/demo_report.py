# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The demo's words: table, reasons and last line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_iss_ros.analysis.bootstrap import interval_note
from vla_iss_ros.analysis.episodes import Summary
from vla_iss_ros.render.text import number, with_interval


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    policy: str
    baseline: str
    summary: Summary


def share(value: float) -> str:
    """Return a share in percent, with a decimal where it is small."""
    if math.isnan(value):
        return "nan"
    return f"{100 * value:.0f} %" if abs(value) >= 0.1 else f"{100 * value:.1f} %"


def interval(summary: Summary) -> str:
    """Return ``0.xx [lo, hi]`` of the mean NMR, of one form for programs even where it is nan."""
    return with_interval(summary.nmr.value, summary.nmr.low, summary.nmr.high, always=True)


def table(entries: Sequence[Entry], percent: int) -> str:
    """Return the table with its notes.

    Effects are those of replacing a whole modality by donors (the state by its mean) and do not depend on the
    baseline of the map; they stand in the first line of each policy.
    """
    modalities = list(dict.fromkeys(name for entry in entries for name in entry.summary.effects))
    header = ["policy", "baseline", "frames", "N", f"NMR@{percent}", "chance", *modalities]
    lines = [header]
    for entry in entries:
        summary = entry.summary
        least, most = summary.samples
        lines.append(
            [
                entry.policy,
                entry.baseline,
                str(summary.frames),
                str(most) if least == most else f"{least}-{most}",
                interval(summary),
                number(summary.chance),
                *(share(summary.effects[name]) if name in summary.effects else "" for name in modalities),
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = "  ".join("-" * width for width in widths)
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    notes = [
        "chance: share of the image area that is nuisance. "
        f"{', '.join(modalities) or 'effects'}: effect of replacing it, as a share of replacing everything.",
        interval_note(*(entry.summary.nmr.episodes for entry in entries)),
        *_reasons(entries),
    ]
    return "\n".join([text[0], rule, *text[1:], *notes])


def _reasons(entries: Sequence[Entry]) -> list[str]:
    """Say why whatever is nan in the table is so."""
    reasons = []
    for entry in entries:
        name = f"{entry.policy}, {entry.baseline}"
        if entry.summary.nmr.reason:
            reasons.append(f"nan, {name}, NMR: {entry.summary.nmr.reason}")
        reasons += [f"nan, {name}, {what}: {why}" for what, why in entry.summary.effect_reasons.items()]
    return reasons


def last_line(policies: Mapping[str, Summary], percent: int, directory: Path) -> str:
    """Return the demo's last line, which other programs read."""
    figures = ", ".join(f"{name} NMR@{percent} = {interval(summary)}" for name, summary in policies.items())
    chances = [summary.chance for summary in policies.values() if not math.isnan(summary.chance)]
    chance = math.fsum(chances) / len(chances) if chances else math.nan
    return f"demo: {figures}, chance = {number(chance)}; pictures in {directory}"
