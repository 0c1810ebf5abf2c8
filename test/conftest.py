# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import os

import pytest
from fault_table import hold, printed, read_faults

# Set before torch is imported: idle threads of several processes would spin against each other on few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def saw(request, record_property):
    """Return a function that notes in words what a fault test saw, and holds it to docs/reliability.md."""

    def note(text):
        record_property("saw", text)
        hold(request.node.nodeid, text, read_faults())

    return note


def pytest_terminal_summary(terminalreporter):
    """Print the rows of the fault table whose tests ran, with what they saw."""
    outcomes = {}
    for name in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(name, []):
            passed, text = outcomes.get(report.nodeid, (True, ""))
            text = dict(getattr(report, "user_properties", [])).get("saw", text)  # none while collecting
            outcomes[report.nodeid] = (passed and name == "passed", text)
    lines = printed(read_faults(), outcomes)
    if lines:
        terminalreporter.section("faults")
        terminalreporter.write_line("\n".join(lines))
