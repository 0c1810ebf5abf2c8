# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that somebody made to do harm: refused in one line, nothing runs, nothing large is taken."""

import dataclasses
import json
import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file

from vla_iss_ros.policies.builtin import FORMAT, load_builtin
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig


def with_header(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


class Payload:
    def __reduce__(self):
        return (pytest.fail, ("a checkpoint ran code",))


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**62) + b"{}",
        with_header({"x": {**TENSOR, "shape": [2**40, 2**40]}}),
        with_header({"x": {**TENSOR, "data_offsets": [0, 2**50]}}),
        with_header({"x": {**TENSOR, "data_offsets": [8, 0]}}),
        with_header({"x": TENSOR, "y": TENSOR}) + bytes(8),
        with_header([1, 2]),
        b"\xff" * 64,
        pickle.dumps(Payload()),
    ],
    ids=["empty", "header", "shape", "offset", "negative", "overlap", "list", "noise", "pickle"],
)
def test_a_file_made_to_do_harm_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "policy.safetensors"
    path.write_bytes(content)
    with pytest.raises(PolicyError, match="not a readable safetensors file") as caught:
        load_builtin(path, torch.device("cpu"))
    assert "\n" not in str(caught.value)


SMALL = PatchTransformerConfig(
    cameras=("front",), image_size=16, width=16, heads=2, layers=2, vocabulary=("go",)
)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"width": 2**20}, r"must be \[.*1048576"),
        ({"layers": 10**12}, "it asks for 1000000000000 layers, the file has 2"),
        ({"horizon": 10**15}, r"'queries' must be \[1000000000000000, 16\], the file has \[8, 16\]"),
        ({"image_size": 2**30}, "must be"),
        ({"max_words": 2**62}, ""),
        ({"action_dim": 10**30}, ""),
    ],
)
def test_a_configuration_that_asks_for_more_than_the_file_has_takes_no_memory(
    tmp_path, monkeypatch, asked, reason
):
    path = tmp_path / "policy.safetensors"
    config = {**dataclasses.asdict(SMALL), **asked}
    metadata = {"format": FORMAT, "config": json.dumps(config)}
    save_file(PatchTransformer(SMALL).state_dict(), path, metadata)
    made = []
    original = PatchTransformer.__init__

    def watched(network, config):
        original(network, config)
        made.extend(each.device.type for each in network.parameters())

    monkeypatch.setattr(PatchTransformer, "__init__", watched)
    with pytest.raises(PolicyError, match=f"does not fit its configuration: .*{reason}") as caught:
        load_builtin(path, torch.device("cpu"))
    assert "\n" not in str(caught.value)
    assert set(made) <= {"meta"}
