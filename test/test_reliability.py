# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""docs/reliability.md names tests and benchmarks that exist, and what they see is printed and held to the page."""

from pathlib import Path

import pytest
from fault_table import hold, printed, read_faults

ROOT = Path(__file__).parents[1]
TABLE = """
| fault | expected | seen | by |
| --- | --- | --- | --- |
| fire | put out | put out after 3 s, 2.5 l | `test/ros/test_fire.py::test_fire` |
| water | pumped | as expected | `test/ros/test_water.py` |
| ice | melts | as expected | `test/ros/test_ice.py::test_ice`, `test/ros/test_ice.py::test_snow` |
"""


def test_every_row_names_something_that_exists():
    faults = read_faults()
    assert len(faults) > 25
    for fault in faults:
        assert fault.tests, fault
        for named in fault.tests:
            file, _, test = named.partition("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            assert not test or f"def {test}(" in text, named


def test_what_was_seen_is_held_to_the_page_but_for_its_figures():
    faults = read_faults(TABLE)
    hold("test/ros/test_fire.py::test_fire[big]", "put out after 12 s, 0 l", faults)
    with pytest.raises(AssertionError, match="seen was: burnt down after 3 s"):
        hold("test/ros/test_fire.py::test_fire", "burnt down after 3 s", faults)


def test_the_printed_table_has_the_rows_whose_tests_ran():
    outcomes = {
        "test/ros/test_fire.py::test_fire[big]": (True, "put out after 4 s, 1 l"),
        "test/ros/test_fire.py::test_fireworks": (False, ""),
        "test/ros/test_ice.py::test_ice": (True, ""),
        "test/ros/test_ice.py::test_snow": (False, ""),
    }
    assert printed(read_faults(TABLE), outcomes)[2:] == [
        "| fire | put out | put out after 4 s, 1 l |",
        "| ice | melts | FAILED |",
    ]
    assert printed(read_faults(TABLE), {"test/iss/test_nmr.py::test_ties": (True, "")}) == []
    water = printed(read_faults(TABLE), {"test/ros/test_water.py::test_flood": (True, "")})
    assert water[2:] == ["| water | pumped | as expected |"]
