# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Without lerobot, what to install is said."""

import importlib.metadata
import json

import pytest

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import load_policy


def test_the_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("vla_iss_ros.policies.lerobot.library.version", absent)
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        (tmp_path / name).write_text(json.dumps({"steps": [{"registry_name": "device_processor"}]}))
    (tmp_path / "config.json").write_text('{"type": "act"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(PolicyError, match=r"need lerobot 0.4.4 .* pip install vla_iss_ros\[lerobot\]"):
        load_policy(f"lerobot:{tmp_path}", "cpu")


def test_a_directory_must_be_given():
    with pytest.raises(PolicyError, match="lerobot needs a local pretrained directory: lerobot:PATH"):
        load_policy("lerobot", "cpu")
