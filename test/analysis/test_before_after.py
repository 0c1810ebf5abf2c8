# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import numpy as np
import pytest

from vla_iss_ros.analysis.before_after import compare, different_meanings, draw_changes, other_labels
from vla_iss_ros.analysis.frame_table import EffectFigures, FrameRow, RatioFigures


def rows(values, share=0.5, chance=0.4):
    effects = {"camera_front": EffectFigures(0.1, share), "everything": EffectFigures(0.2, 1.0)}
    return [
        FrameRow(
            "bag", f"bag/{place // 20}", place, place, 0.1 * place, "", True, "p", chance=chance,
            ratios={10: RatioFigures(value)}, effects=effects,
        )
        for place, value in enumerate(values)
    ]  # fmt: skip


def test_a_change_is_found_with_its_size():
    rng = np.random.default_rng(0)
    before, after = rng.uniform(0.2, 0.4, 60), rng.uniform(0.5, 0.7, 80)
    nmr, chance, share = compare(rows(before), rows(after, share=0.7), 10, 0)
    assert nmr.name == "NMR@10"
    assert nmr.difference == pytest.approx(after.mean() - before.mean())
    assert nmr.low <= nmr.difference <= nmr.high
    assert nmr.low > 0.2
    assert nmr.above == 1
    assert (chance.name, chance.difference) == ("chance", pytest.approx(0))
    assert (share.name, share.difference) == ("share of camera_front", pytest.approx(0.2))
    assert draw_changes([nmr, chance, share], ("a", "b")).startswith(b"\x89PNG")


def test_recordings_alike_are_a_toss_up():
    rng = np.random.default_rng(1)
    nmr = compare(rows(rng.uniform(0, 1, 200)), rows(rng.uniform(0, 1, 200)), 10, 0)[0]
    assert nmr.low < 0 < nmr.high
    assert 0.01 < nmr.above < 0.99


def test_undefined_stays_undefined_with_its_reason():
    nmr = compare(rows([math.nan] * 30), rows([0.5] * 30), 10, 0)[0]
    assert math.isnan(nmr.difference)
    assert math.isnan(nmr.above)
    assert nmr.before.reason == "no defined value"


def test_interpolated_frames_do_not_count():
    values = np.random.default_rng(2).uniform(0, 1, 90)
    strided = [dataclasses.replace(row, explained=row.stamp % 3 == 0) for row in rows(values)]
    nmr = compare(strided, rows(values), 10, 0)[0]
    assert nmr.before.count == 30
    assert nmr.before.value == pytest.approx(values[::3].mean())


IDENTITY = {
    "policy hash": "a", "policy": "builtin", "donors hash": "d", "samples": 64, "grid": 7, "actor_labels": (1,),
    "support_labels": (2,), "stride": 1, "frames a segment": 16, "regions": None, "sources": {"before": {}},
}  # fmt: skip
LABELS = {"files": {"front": "a.png"}, "robot names": ["arm"], "labels": [1, 2], "fingerprint": "x"}


def test_policies_and_recordings_may_differ():
    other = {**IDENTITY, "policy": "builtin:x", "policy hash": "b", "sources": {"after": {}}}
    assert different_meanings(IDENTITY, other) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"samples": 128}, ["samples was 64 and is now 128"]),
        ({"donors hash": "e"}, ["donors hash was 'd' and is now 'e'"]),
        ({"stride": 3, "frames a segment": 48}, ["stride was 1 and is now 3"]),
        (
            {"actor_labels": (2,), "support_labels": (1,)},
            ["actor_labels was (1,) and is now (2,)", "support_labels was (2,) and is now (1,)"],
        ),
        ({"missing_camera": "hold"}, ["missing_camera was 'wait' and is now 'hold'"]),
    ],
)
def test_what_changes_the_meaning_is_named(change, named):
    assert different_meanings(IDENTITY, {**IDENTITY, **change}) == named


def test_labels_may_lie_elsewhere_but_must_mean_the_same():
    before = {**IDENTITY, "regions": LABELS}
    elsewhere = {**IDENTITY, "regions": {**LABELS, "files": {"front": "b.png"}, "fingerprint": "y"}}
    assert different_meanings(before, elsewhere) == []
    assert other_labels(before, elsewhere) == [
        "files: front was 'a.png' and is now 'b.png'",
        "fingerprint was 'x' and is now 'y'",
    ]
    wrist = {**IDENTITY, "regions": {**LABELS, "files": {"wrist": "a.png"}, "robot names": []}}
    assert different_meanings(before, wrist) == [
        "regions: robot names was ['arm'] and is now []",
        "regions: cameras was ['front'] and is now ['wrist']",
    ]
    (none,) = different_meanings(before, IDENTITY)
    assert none.startswith("regions was {")
    assert other_labels(before, IDENTITY) == []
