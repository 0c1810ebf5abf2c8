import json

import pytest
import torch
from safetensors.torch import save_file

from vla_iss_ros.policies.builtin import FORMAT
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig

CONFIG = PatchTransformerConfig(
    image_size=16, width=16, heads=2, layers=2, vocabulary=("press", "the", "button")
)


@pytest.fixture
def write_checkpoint(tmp_path):
    """Return a function that writes a tiny random checkpoint and returns its path."""

    def write(change=None, **metadata):
        torch.manual_seed(0)
        tensors = PatchTransformer(CONFIG).state_dict()
        if change is not None:
            change(tensors)
        path = tmp_path / "tiny.safetensors"
        save_file(tensors, path, {"format": FORMAT, "config": json.dumps(CONFIG.to_dict()), **metadata})
        return path

    return write
