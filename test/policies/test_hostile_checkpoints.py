"""Checkpoints that somebody made to do harm: refused in one line, nothing runs, nothing large is taken."""

import json
import pickle
import struct

import pytest
import torch

from vla_iss_ros.policies.builtin import load_builtin
from vla_iss_ros.policies.errors import PolicyError


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
