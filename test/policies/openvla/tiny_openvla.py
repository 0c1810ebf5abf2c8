# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A tiny random model that has OpenVLA's parts, saved as OpenVLA saves them, with a Python file of its own.

Two vision towers (a convolution each instead of a ViT), a projector, a Llama with OpenVLA's vocabulary.
"""

import json

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.hugging_face import import_torchvision, stay_offline

stay_offline()
import_torchvision()

SIZE, PATCH, WIDTH = 16, 4, 16
INSTRUCTION = "push the red button"
STATISTICS = {
    "toy": {
        "action": {"q01": [-1.0] * 6 + [0.0], "q99": [1.0, 2, 3, 4, 5, 6, 1], "mask": [True] * 6 + [False]}
    },
    "other": {"action": {"q01": [0.0] * 7, "q99": [1.0] * 7}},
}
CONFIGURATION = """
from transformers import PretrainedConfig
from transformers.models.llama.configuration_llama import LlamaConfig


class TinyConfig(PretrainedConfig):
    model_type = "openvla"

    def __init__(self, text_config=None, seen=None, **kwargs):
        self.text_config, self.seen = LlamaConfig(**(text_config or {})), seen
        super().__init__(**kwargs)
"""
MODELING = """
import torch
from torch import nn
from transformers import LlamaForCausalLM, PreTrainedModel

from .configuration_tiny import TinyConfig


class Towers(nn.Module):
    def __init__(self, patch):
        super().__init__()
        self.featurizer, self.fused_featurizer = (nn.Conv2d(3, 8, patch, patch) for _ in range(2))

    def forward(self, pixels):
        one, other = torch.split(pixels, [3, 3], dim=1)
        both = torch.cat([self.featurizer(one), self.fused_featurizer(other)], 1)
        return both.flatten(2).transpose(1, 2)


class Projector(nn.Module):
    def __init__(self, width, patches, seen):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, width), nn.Linear(width, width)
        self.level = nn.Parameter(torch.ones(width))
        # Patches that are not seen are the same whatever they show.
        self.share = nn.Parameter(torch.ones(patches, 1))

    def forward(self, patches):
        return self.level + self.share * self.fc2(torch.nn.functional.gelu(self.fc1(patches)))


class TinyModel(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        width = config.text_config.hidden_size
        self.vision_backbone = Towers(config.patch)
        self.projector = Projector(width, (config.image_sizes[0] // config.patch) ** 2, config.seen)
        self.language_model = LlamaForCausalLM(config.text_config)
        self.post_init()

    def _init_weights(self, module):
        pass
"""
WORDS = ["[UNK]", "<s>", "in", ":", "what", "action", "should", "the", "robot", "take", "to", "?", "out"]
WORDS += ["push", "pull", "red", "blue", "but", "##ton", "knob"]


def save(path, seen=None, word="", strategy="resize-naive", vocabulary=32064):
    """Write a directory; ``seen``: the one patch that the projector lets through, ``word``: one that stands out."""
    path.mkdir()
    config = {
        "model_type": "openvla",
        "architectures": ["TinyModel"],
        "auto_map": {
            "AutoConfig": "configuration_tiny.TinyConfig",
            "AutoModelForVision2Seq": "modeling_tiny.TinyModel",
        },
        "use_fused_vision_backbone": True,
        "image_sizes": [SIZE, SIZE],
        "image_resize_strategy": strategy,
        "patch": PATCH,
        "seen": seen,
        "norm_stats": STATISTICS,
        "n_action_bins": 256,
        "pad_to_multiple_of": 64,
        "text_config": {
            "vocab_size": vocabulary,
            "hidden_size": WIDTH,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "pad_token_id": 32000,
        },
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "configuration_tiny.py").write_text(CONFIGURATION)
    (path / "modeling_tiny.py").write_text(MODELING)
    images = {"means": [[0.485, 0.456, 0.406], [0.5] * 3], "stds": [[0.229, 0.224, 0.225], [0.5] * 3]}
    (path / "preprocessor_config.json").write_text(json.dumps(images))
    _tokenizer().save_pretrained(path)
    save_file(_weights(path, seen, word), path / "model.safetensors", {"format": "pt"})
    return path


def _weights(path, seen, word):
    config_class, model_class = (
        get_class_from_dynamic_module(name, str(path))
        for name in ("configuration_tiny.TinyConfig", "modeling_tiny.TinyModel")
    )
    torch.manual_seed(0)
    model = model_class(config_class.from_pretrained(str(path)))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for name, value in state.items():
        if name.endswith("proj.weight") or "embed_tokens" in name or "lm_head" in name:
            value.copy_(torch.randn(value.shape) * (1.0 if "embed" in name or "lm_head" in name else 0.3))
    # So that images move the most likely tokens.
    state["projector.fc2.weight"] *= 8
    if seen is not None:
        state["projector.share"].zero_()[seen] = 1.0
    if word:
        table = state["language_model.model.embed_tokens.weight"]
        table[: len(WORDS)] = table[0]
        table[WORDS.index(word)] += 3 * torch.randn(WIDTH)
    return state


def _tokenizer():
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", bos_token="<s>")


def see(seed=0, size=(16, 16), **changes):
    rng = np.random.default_rng(seed)
    images = {"front": rng.integers(0, 256, (*size, 3), dtype=np.uint8)}
    return Observation(**{"images": images, "instruction": INSTRUCTION, "state": None, "stamp": 1, **changes})
