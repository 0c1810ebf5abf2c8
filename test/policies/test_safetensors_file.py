# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.safetensors_file import read_safetensors


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.arange(3.0)}, path, {"format": "mine"})
    return path


def test_tensors_metadata_and_bytes_are_those_of_the_file(path):
    tensors, metadata, content = read_safetensors(path, 2**20, "checkpoint")
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {"x": [0, 1, 2]}
    assert metadata == {"format": "mine"}
    assert content == path.read_bytes()


def test_a_file_without_metadata_has_none(path):
    save_file({"x": torch.zeros(1)}, path)
    assert read_safetensors(path, 2**20, "checkpoint")[1] == {}


def test_room_is_made_for_the_file_and_not_for_the_largest(path):
    assert read_safetensors(path, 2**60, "checkpoint")[0]


def test_a_file_that_is_too_large_is_refused(path):
    size = path.stat().st_size
    assert read_safetensors(path, size, "checkpoint")[0]
    with pytest.raises(PolicyError, match=f"checkpoint '.*' has more than {size - 1} bytes"):
        read_safetensors(path, size - 1, "checkpoint")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc on this system")
def test_tensors_survive_a_file_that_is_overwritten_in_place(path):
    tensors, _, _ = read_safetensors(path, 2**20, "checkpoint")
    assert (
        str(path) not in Path("/proc/self/maps").read_text()
    )  # where it was mapped, the rest would end pytest
    path.write_bytes(b"x")
    assert tensors["x"].tolist() == [0, 1, 2]
