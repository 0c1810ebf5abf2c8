# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

import pytest
import yaml

from vla_iss_ros import settings
from vla_iss_ros.iss import estimators, plans
from vla_iss_ros.settings.shown import shown
from vla_iss_ros.settings.transports import camera_transports

ROOT = Path(__file__).parents[1]


def test_the_parameter_file_is_made_from_the_settings():
    text = (ROOT / "config" / "iss.yaml").read_text(encoding="utf-8")
    assert text == settings.as_yaml()
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert settings.check(values) == settings.check({})
    assert set(values) == set(settings.BY_NAME)


def test_the_reference_parameters_are_made_from_the_preset():
    text = (ROOT / "config" / "reference.yaml").read_text(encoding="utf-8")
    assert text == settings.reference_as_yaml()
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert settings.check(values) == settings.check(settings.REFERENCE)


def test_the_reference_holds_the_table_of_parameters():
    assert settings.as_markdown() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_is_described_and_its_default_allowed():
    for setting in settings.ALL:
        assert setting.description.endswith(".")
        assert setting.check(setting.default) == setting.default
    assert len(settings.BY_NAME) == len(settings.ALL)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keep_probability": 1.2}, r"keep_probability must be in \[0.01, 0.99\], got 1.2"),
        ({"keep_probability": math.nan}, "got nan"),
        ({"samples": 3.5}, "samples must be int, got 3.5"),
        ({"samples": True}, "samples must be int, got True"),
        ({"baseline": "noise"}, "baseline must be one of donor, blur, mean_colour, got 'noise'"),
        ({"cameras": "front"}, "cameras must be list, got 'front'"),
        ({"camera_transports": "front=jpeg"}, "cameras of front, wrist, got 'front=jpeg'"),
        ({"camera_transports": "front=raw, head=raw"}, "cameras of front, wrist, got 'head=raw'"),
        ({"cameras": []}, "different names and not empty"),
        ({"cameras": ["a", "a"]}, "different names and not empty"),
        ({"actor_labels": [1], "support_labels": [1]}, "name each once"),
        ({"nmr_warn_ratio": 2.0, "nmr_error_ratio": 1.0}, "must not be below nmr_warn_ratio 2.0, got 1.0"),
        ({"samples": 16, "block_size": 32}, "samples must be at least block_size 32, got 16"),
        ({"estimator": "exact"}, "at most 16 cells over all cameras, got 49 a camera; set grid to 2"),
        ({"estimator": "exact", "grid": 5}, "got 25 a camera"),
        ({"estimator": "exact", "grid": 2, "time_budget": 0.5}, "time_budget must be 0 for exact, got 0.5"),
        ({"smples": 16}, r"unknown settings \['smples'\]"),
        ({"smples": 16, 5: 1}, r"unknown settings \['smples', 5\]"),
        ({"cameras": ["front", 5]}, r"cameras must be a list of str, got \['front', 5\]"),
        ({"actor_labels": [True]}, r"actor_labels must be a list of int, got \[True\]"),
        ({"support_labels": None}, "support_labels must be list, got None"),
        ({"max_rate": 10**400}, r"max_rate must be in \[0.01, 1000.0\], got <int of 1329 bits>"),
        ({"samples": 1 << 10**6}, r"samples must be in \[2, 100000\], got <int of 1000001 bits>"),
    ],
)
def test_what_is_not_allowed_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        settings.check(values)


def test_what_exact_takes_is_what_its_plan_takes():
    assert settings.BY_NAME["samples"].maximum == plans.MOST_EVALUATIONS
    assert settings.check({"estimator": "exact", "grid": 4}).grid ** 2 == plans.MOST_CELLS
    assert set(settings.BY_NAME["estimator"].choices) == set(estimators.REGISTRY)


def test_numbers_are_taken_as_floats_and_lists_are_copied():
    assert settings.check({"time_budget": 1}).time_budget == 1.0
    first, second = settings.check({}), settings.check({})
    assert first.cameras is not second.cameras


def test_the_reference_preset_is_the_papers_configuration():
    chosen = settings.check(settings.REFERENCE)
    assert (chosen.samples, chosen.keep_probability, chosen.grid) == (500, 0.3, 7)
    assert (chosen.design, chosen.estimator, chosen.baseline) == ("bernoulli", "horvitz_thompson", "blur")
    assert (chosen.mask_layout, chosen.quantise) == ("stitched", True)


def test_a_camera_has_its_own_transport_where_one_is_named():
    found = camera_transports("wrist = raw,", ["front", "wrist"], "compressed")
    assert found == {"front": "compressed", "wrist": "raw"}
    assert camera_transports("", ["front"], "raw") == {"front": "raw"}


def test_lists_may_be_empty_where_that_has_a_meaning():
    empty = {"support_labels": [], "actor_labels": [], "state_names": []}
    assert {name: getattr(settings.check(empty), name) for name in empty} == empty


def nested(levels, width=9):
    """Return a list of lists that holds ``width`` to the power of ``levels`` texts, most of them many times."""
    value = "lol"
    for _ in range(levels):
        value = [value] * width
    return value


@pytest.mark.parametrize("value", [nested(20), "x" * 10**6, {"a": nested(20)}, list(range(10**5))])
@pytest.mark.parametrize(
    "name", ["samples", "max_rate", "effects", "design", "instruction", "cameras", "actor_labels"]
)
def test_errors_are_short_whatever_the_value_holds(name, value):
    if name == "actor_labels" and isinstance(value, list):
        value = [value]
    with pytest.raises(ValueError, match=name) as caught:
        settings.check({name: value})
    assert len(str(caught.value)) < 300


def test_values_are_shown_as_python_writes_them():
    for value in (5, -0.5, "a'b", None, True, [1, "x"], {"a": [1, 2]}, ("x",)):
        assert shown(value) == repr(value)
    assert shown("a\nb") == r"'a\nb'"
    assert shown(1 << 10**5) == "<int of 100001 bits>"
    assert len(shown([nested(20)] * 5 + ["x" * 1000])) <= 123
