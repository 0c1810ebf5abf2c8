# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The table of faults in docs/reliability.md: read, held to what tests see, and printed with what they saw."""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
FIGURE = re.compile(r"[-+]?\d+(?:\.\d+)?")
NAMED = re.compile(r"`((?:test|benchmarks)/[\w/]+\.py(?:::\w+)?)`")
AS_EXPECTED = "as expected"


@dataclass(frozen=True)
class Fault:
    """A row. ``tests``: files or ``file::test`` that show it."""

    name: str
    expected: str
    seen: str
    tests: tuple[str, ...]

    def is_shown_by(self, node):
        """Return whether the pytest node id is of one of the row's tests."""
        plain = node.partition("[")[0]
        return any(plain == test or plain.startswith(f"{test}::") for test in self.tests)


def read_faults(text=None):
    """Return the rows of the page."""
    text = PAGE.read_text(encoding="utf-8") if text is None else text
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [Fault(*row[:3], tuple(NAMED.findall(row[3]))) for row in rows[1:] if "---" not in row[0]]


def without_figures(text):
    """Return ``text`` with # for every number: those vary from run to run."""
    return FIGURE.sub("#", text)


def hold(node, saw, faults):
    """Fail when what the test ``node`` saw is, figures apart, not what the page says."""
    said = [fault.seen for fault in faults if fault.is_shown_by(node)]
    assert without_figures(saw) in [without_figures(text) for text in said], (
        f"docs/reliability.md says of {node} that {said} was seen; seen was: {saw}"
    )


def printed(faults, outcomes):
    """Return the table's lines for the faults whose tests ran; ``outcomes``: node id to (passed, what it saw)."""
    lines = []
    for fault in faults:
        found = [outcome for node, outcome in outcomes.items() if fault.is_shown_by(node)]
        if not found:
            continue
        saw = next((text for _, text in found if text), AS_EXPECTED)
        seen = saw if all(passed for passed, _ in found) else "FAILED"
        lines.append(f"| {fault.name} | {fault.expected} | {seen} |")
    return ["| fault | expected | seen |", "| --- | --- | --- |", *lines] if lines else []
