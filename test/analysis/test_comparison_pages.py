# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math
import re
from html.parser import HTMLParser

import pytest

from vla_iss_ros.analysis.before_after import Change
from vla_iss_ros.analysis.bootstrap import MeanInterval
from vla_iss_ros.analysis.comparison_pages import changes_page, ranking_page
from vla_iss_ros.analysis.ranking import Paired, Ranked
from vla_iss_ros.analysis.report_page import interval_plot

NONE = MeanInterval(math.nan, math.nan, math.nan, 0, "no regions <b>")
LOW, HIGH = MeanInterval(0.2, 0.1, 0.3, 40), MeanInterval(0.6, 0.5, 0.7, 40)


class Balanced(HTMLParser):
    """Fails where tags do not close in order, or something is fetched from elsewhere."""

    EMPTY = ("meta", "circle", "line", "br", "img")

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert not any(str(value).startswith("http") for _, value in attributes)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize(("below", "said"), [(0.99, "It is clearly below"), (0.7, "It is not clearly below")])
def test_a_ranking_begins_with_the_answer(below, said):
    first = Ranked("a<script>", LOW, 0.4, MeanInterval(0.4, 0.3, 0.5, 40), below, 0.25)
    last = Ranked("b", HIGH, 0.4, NONE, math.nan, math.nan)
    page = ranking_page([first, last], 10, {"a<script>": "1-a%3C/report.html"})
    Balanced(page)
    assert "<script>" not in page
    assert 'href="1-a%3C/report.html"' in page
    found = text_of(page)
    assert "first, NMR@10 0.20 [0.10, 0.30]" in found
    assert "20% lie on nuisance, where chance is 40%" in found
    assert said in found
    assert found.index("first, NMR@10") < found.index("Ranking")


def test_one_policy_is_compared_with_nothing():
    page = ranking_page([Ranked("a", LOW, 0.4, NONE, math.nan, 0.2)], 10, {})
    assert "There is nothing, or too little, to compare it with." in page


def test_of_three_policies_every_pair_is_in_a_table():
    names = ("a", "b", "<c>")
    ranked = [
        Ranked(
            name, LOW, 0.4, HIGH, 0.9, 0.2,
            {other: Paired(MeanInterval(0.1 * (y - x), -0.5, 0.5, 40), 0.3) for y, other in enumerate(names) if y != x},
        )
        for x, name in enumerate(names)
    ]  # fmt: skip
    page = ranking_page(ranked, 10, {})
    Balanced(page)
    found = text_of(page)
    pairs = found[found.index("Every pair") :]
    assert "1. a - 0.10 [-0.50, 0.50] 0.30 0.20 [-0.50, 0.50] 0.30" in pairs
    assert "3. &lt;c&gt; -0.20 [-0.50, 0.50] 0.30 -0.10" in pairs
    assert "each policy for itself" in found
    assert "Every pair" not in ranking_page(ranked[:2], 10, {})


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.1, 0.7, "it went up"),
        (-0.7, -0.1, "it went down"),
        (-0.1, 0.9, "do not tell a change"),
        (math.nan, math.nan, "too few frames"),
    ],
)
def test_a_comparison_begins_with_the_answer(low, high, said):
    changes = [
        Change("NMR@10", LOW, HIGH, 0.4, low, high, 0.99),
        Change("chance", NONE, LOW, math.nan, math.nan, math.nan, math.nan),
    ]
    page = changes_page(changes, ("runs/<before>", "runs/after"))
    Balanced(page)
    assert "<before>" not in page
    assert "NMR@10 0.20 [0.10, 0.30] &rarr; 0.60 [0.50, 0.70]" in page
    assert said in page
    assert "undefined (no regions &lt;b&gt;)" in page


def test_points_lie_where_the_scale_says():
    plot = interval_plot([("nmr", MeanInterval(0.5, 0.25, 1.0, 9)), ("before", NONE)], chance=0.75)
    assert '<line class="nmr" x1="110.0" x2="410.0"' in plot
    assert '<circle class="nmr" cx="210.0"' in plot
    assert '<line class="chance" x1="310.0"' in plot
    assert 'class="before"' not in plot
