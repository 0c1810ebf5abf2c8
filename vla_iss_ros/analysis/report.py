"""The HTML report of a run."""

from __future__ import annotations

from pathlib import Path


def write_report(directory: Path) -> Path | None:
    """Write ``report.html`` of the complete run in ``directory`` and return its path; None when there is none yet."""
    return None
