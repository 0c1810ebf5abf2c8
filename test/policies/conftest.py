# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from vla_iss_ros.policies.builtin import FORMAT, load_builtin
from vla_iss_ros.policies.exporting import export_policy
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig

CONFIG = PatchTransformerConfig(
    image_size=16, width=16, heads=2, layers=2, vocabulary=("press", "the", "button")
)


def save_tiny(path, change=None, **metadata):
    torch.manual_seed(0)
    tensors = PatchTransformer(CONFIG).state_dict()
    if change is not None:
        change(tensors)
    save_file(tensors, path, {"format": FORMAT, "config": json.dumps(CONFIG.to_dict()), **metadata})
    return path


@pytest.fixture
def write_checkpoint(tmp_path):
    """Return a function that writes a tiny random checkpoint and returns its path."""

    def write(change=None, **metadata):
        return save_tiny(tmp_path / "tiny.safetensors", change, **metadata)

    return write


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    """Return a directory with tiny.safetensors and its exports; not to be changed.

    onnx and pt2 are of one graph, onnx_token and pt2_token of two.
    """
    directory = tmp_path_factory.mktemp("exports")

    def change(tensors):
        tensors["action_mean"] = torch.tensor([1.0, 2, 3, 4])
        tensors["action_std"] = torch.tensor([0.5, 1, 2, 4])

    path = save_tiny(directory / "tiny.safetensors", change)
    for kind in ("onnx", "pt2"):
        policy = load_builtin(path, torch.device("cpu"))
        export_policy(policy, directory / kind, kind, "pixel")
        export_policy(policy, directory / f"{kind}_token", kind)
    return directory


@pytest.fixture
def onnx_copy(exports, tmp_path):
    """Return a copy of the exported ONNX policy of one graph that a test may damage."""
    return shutil.copytree(exports / "onnx", tmp_path / "copy")


@pytest.fixture
def token_copy(exports, tmp_path):
    """Return a copy of the exported ONNX policy of two graphs that a test may damage."""
    return shutil.copytree(exports / "onnx_token", tmp_path / "token_copy")


@pytest.fixture
def edit(onnx_copy):
    """Return a function that changes the manifest of ``onnx_copy``: it is handed the parsed JSON."""
    return _editor(onnx_copy)


@pytest.fixture
def edit_token(token_copy):
    """Return the same for ``token_copy``."""
    return _editor(token_copy)


def _editor(directory):
    def apply(change):
        path = directory / "manifest.json"
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))
        return directory

    return apply
