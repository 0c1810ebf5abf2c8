# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import choose_device, load_policy, shipped_samples
from vla_iss_ros.policies.permissions import Permissions


def test_a_path_is_loaded(write_checkpoint):
    assert load_policy(f"builtin:{write_checkpoint()}", "cpu").spec.horizon == 8


@pytest.mark.parametrize("checkpoint", ["", "shortcut.safetensors"])
def test_the_shipped_checkpoints_load(checkpoint):
    name = f"builtin:{shipped_samples() / 'policies' / checkpoint}" if checkpoint else "builtin"
    policy = load_policy(name, "cpu")
    assert policy.spec.camera_names == ("front", "wrist")
    assert policy.spec.state_mean is not None


def test_unknown_types_are_named():
    with pytest.raises(PolicyError, match=r"TYPE one of builtin, exported, .*got 'magic:there'"):
        load_policy("magic:there")


def test_an_exported_policy_is_loaded_and_pickles_only_where_allowed(exports):
    assert load_policy(f"exported:{exports / 'onnx'}", "cpu").spec.name == "tiny"
    with pytest.raises(PolicyError, match="set allow_pickle"):
        load_policy(f"exported:{exports / 'pt2'}", "cpu")
    assert load_policy(f"exported:{exports / 'pt2'}", "cpu", Permissions(pickle=True)).spec.name == "tiny"


@pytest.mark.parametrize("name", ["tpu0", "meta", "cuda:99", ""])
def test_unknown_devices_are_named(name):
    with pytest.raises(PolicyError, match=f"'{name}'"):
        choose_device(name)


def test_auto_finds_a_device():
    assert choose_device("auto").type in ("cpu", "cuda")
    assert choose_device("cpu") == torch.device("cpu")
