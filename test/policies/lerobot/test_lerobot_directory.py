# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pretrained directories are checked before the library sees them; this needs no library."""

import json

import pytest

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.lerobot.directory import read_directory

STEPS = {"steps": [{"registry_name": "device_processor", "config": {"device": "cpu"}}]}


@pytest.fixture
def directory(tmp_path):
    for name, values in (
        ("config.json", {"type": "act"}),
        ("policy_preprocessor.json", STEPS),
        ("policy_postprocessor.json", STEPS),
    ):
        (tmp_path / name).write_text(json.dumps(values))
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def refused(path, message):
    with pytest.raises(PolicyError, match=message) as caught:
        read_directory(path, ("act", "diffusion"))
    assert "\n" not in str(caught.value)


def test_a_sound_directory_is_read(directory):
    found = read_directory(directory, ("act",))
    assert found.kind == "act"
    assert found.steps == {"device_processor": {"device": "cpu"}}


def test_no_directory(tmp_path):
    refused(tmp_path / "nowhere", "no directory '.*nowhere'; give lerobot:PATH")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "has no config.json; it is no pretrained directory"),
        ("model.safetensors", "has no model.safetensors; copy the whole"),
        ("policy_preprocessor.json", "has no policy_preprocessor.json; .*migrate_policy_normalization"),
        ("policy_postprocessor.json", "has no policy_postprocessor.json"),
    ],
)
def test_a_missing_file_is_named(directory, name, message):
    (directory / name).unlink()
    refused(directory, message)


@pytest.mark.parametrize("text", ["{", "[" * 100000, "\x00", ""])
def test_a_file_that_is_no_json_is_refused(directory, text):
    (directory / "config.json").write_text(text)
    refused(directory, "config.json' is not readable JSON")


def test_a_type_without_an_adapter_is_refused(directory):
    (directory / "config.json").write_text('{"type": "groot"}')
    refused(
        directory, "of a policy of type 'groot', which has no adapter; types that have one: act, diffusion"
    )


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ({"registry_name": "image_crop_resize_processor"}, "image_crop_resize_processor"),
        ({"class": "os.system"}, "os.system"),
        ("text", "text"),
    ],
)
def test_a_step_that_is_not_known_is_refused_before_it_is_imported(directory, step, shown):
    (directory / "policy_preprocessor.json").write_text(json.dumps({"steps": [step]}))
    refused(directory, f"has a step '{shown}' that this adapter does not know")


def test_files_outside_are_refused(directory):
    step = {"registry_name": "normalizer_processor", "state_file": "../elsewhere.safetensors"}
    (directory / "policy_preprocessor.json").write_text(json.dumps({"steps": [step]}))
    refused(directory, "names the file '../elsewhere.safetensors', which must lie in")


def test_relative_actions_and_adapters_of_peft_are_refused(directory):
    step = {"registry_name": "relative_actions_processor", "config": {"enabled": True}}
    (directory / "policy_preprocessor.json").write_text(json.dumps({"steps": [step]}))
    refused(directory, "makes actions relative to the state")
    (directory / "adapter_config.json").write_text("{}")
    refused(directory, "holds an adapter of PEFT; merge it")


def test_a_repository_stands_for_a_directory_inside(directory):
    (directory / "paligemma-3b-pt-224").mkdir()
    found = read_directory(directory, ("act",))
    assert found.local("google/paligemma-3b-pt-224") == str(directory / "paligemma-3b-pt-224")
    assert found.local("google/other") == "google/other"
