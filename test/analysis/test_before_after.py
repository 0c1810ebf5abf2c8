import math

import numpy as np
import pytest

from vla_iss_ros.analysis.before_after import compare, different_methods, draw_changes
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


def test_other_settings_are_named():
    assert different_methods({"samples": 64, "grid": 7}, {"samples": 128, "grid": 7}) == ["samples: 64, 128"]
