# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tiny random policies of the real classes, saved as LeRobot saves them, and what their robot sees."""

from contextlib import contextmanager
from functools import partial
from importlib.metadata import version

import numpy as np
import pytest
import torch

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.lerobot.library import import_lerobot

import_lerobot()

from lerobot.configs.types import FeatureType, PolicyFeature  # noqa: E402
from lerobot.policies.factory import get_policy_class, make_pre_post_processors  # noqa: E402

CAMERAS = ("front", "wrist")
STATE, ACTIONS = 6, 5
STATISTICS = {
    "observation.state": {
        "mean": torch.linspace(-1, 1, STATE),
        "std": torch.linspace(0.5, 2, STATE),
        "min": torch.full((STATE,), -3.0),
        "max": torch.full((STATE,), 3.0),
        "q01": torch.full((STATE,), -2.0),
        "q99": torch.full((STATE,), 2.0),
    },
    "action": {
        "mean": torch.linspace(0, 4, ACTIONS),
        "std": torch.linspace(1, 2, ACTIONS),
        "min": torch.full((ACTIONS,), -2.0),
        "max": torch.full((ACTIONS,), 4.0),
        "q01": torch.full((ACTIONS,), -1.0),
        "q99": torch.full((ACTIONS,), 1.5),
    },
} | {
    f"observation.images.{name}": {"mean": torch.full((3, 1, 1), 0.45), "std": torch.full((3, 1, 1), 0.22)}
    for name in CAMERAS
}


def features(size, cameras=CAMERAS):
    """Return the features that a configuration takes, cameras of ``size`` (h, w)."""
    return {
        "input_features": {
            "observation.state": PolicyFeature(FeatureType.STATE, (STATE,)),
            **{
                f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, (3, *size))
                for name in cameras
            },
        },
        "output_features": {"action": PolicyFeature(FeatureType.ACTION, (ACTIONS,))},
    }


def save(config, directory, change=None):
    """Save a random policy of ``config`` with its processors; ``change`` may edit its network before."""
    torch.manual_seed(0)
    network = get_policy_class(config.type)(config)
    if change is not None:
        with torch.no_grad():
            change(network)
    pre, post = make_pre_post_processors(config, dataset_stats=STATISTICS)
    for part in (network, pre, post):
        part.save_pretrained(directory)
    return directory


def observe(seed=0, size=(96, 128), instruction="pick up the red cube", **changes):
    """Return what the robot sees, random."""
    rng = np.random.default_rng(seed)
    values = {
        "images": {name: rng.integers(0, 256, (*size, 3), dtype=np.uint8) for name in CAMERAS},
        "instruction": instruction,
        "state": rng.normal(0, 1, STATE).astype(np.float32),
        "stamp": 1,
    }
    return Observation(**{**values, **changes})


def raw(observation):
    """Return an observation as LeRobot's own loops hand it to the preprocessor."""
    batch = {
        f"observation.images.{name}": torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        for name, image in observation.images.items()
    }
    batch["observation.state"] = torch.from_numpy(observation.state)[None]
    return {**batch, "task": [observation.instruction]}


def variants(policy, base, count):
    """Return images of ``count`` rows, row 0 as observed, the others darker and darker."""
    shade = (1 - torch.arange(count) / 8)[:, None, None, None]
    return {name: image * shade for name, image in base.images.items()}


def save_act(directory, change=None):
    """Save a tiny ACT."""
    from lerobot.policies.act.configuration_act import ACTConfig

    config = ACTConfig(
        **features((96, 128)),
        chunk_size=8,
        n_action_steps=8,
        dim_model=32,
        n_heads=4,
        dim_feedforward=64,
        n_encoder_layers=2,
        n_vae_encoder_layers=1,
        latent_dim=8,
        pretrained_backbone_weights=None,
        device="cpu",
    )
    return save(config, directory, change)


def save_diffusion(directory, change=None, **changes):
    """Save a tiny Diffusion policy."""
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig

    values = {
        "n_obs_steps": 2,
        "horizon": 8,
        "n_action_steps": 4,
        "crop_shape": None,
        "down_dims": (16, 32),
        "diffusion_step_embed_dim": 16,
        "spatial_softmax_num_keypoints": 8,
        "num_inference_steps": 6,
        "pretrained_backbone_weights": None,
        "device": "cpu",
    }
    return save(DiffusionConfig(**features((48, 64)), **{**values, **changes}), directory, change)


def save_smolvla(directory, change=None, **changes):
    """Save a tiny SmolVLA, and inside of its directory the files of its language model but the weights."""
    from lerobot.policies.smolvla.configuration_smolvla import SmolVLAConfig
    from tiny_language import save_smolvlm

    vlm = directory / "TinySmolVLM"
    save_smolvlm(vlm)
    values = {
        "chunk_size": 6,
        "n_action_steps": 6,
        "max_action_dim": 8,
        "max_state_dim": 8,
        "resize_imgs_with_padding": (64, 64),
        "vlm_model_name": str(vlm),
        "load_vlm_weights": False,
        "num_vlm_layers": 4,
        "num_steps": 4,
        "tokenizer_max_length": 48,
        "pad_language_to": "max_length",
        "device": "cpu",
    }
    save(SmolVLAConfig(**features((96, 128)), **{**values, **changes}), directory, change)
    for name in ("config.json", "policy_preprocessor.json"):
        text = (directory / name).read_text()
        (directory / name).write_text(text.replace(str(vlm), "someone/TinySmolVLM"))
    return directory


@contextmanager
def small_paligemma(tokenizer):
    """Within it pi0 and pi0.5 are made small: the library writes their sizes into its code.

    ``tokenizer``: the directory that its name of PaliGemma's stands for, or None.
    """
    import lerobot.policies.pi0.modeling_pi0 as pi0
    import lerobot.policies.pi05.modeling_pi05 as pi05
    import lerobot.processor.tokenizer_processor as tokenizing
    from transformers import PaliGemmaConfig

    vision = {"model_type": "siglip_vision_model", "hidden_size": 48, "num_hidden_layers": 2}
    vision |= {"num_attention_heads": 4, "patch_size": 14, "image_size": 56, "intermediate_size": 96}

    def sizes(module):
        def choose(variant):
            width, mlp = (64, 128) if variant == "gemma_2b" else (32, 64)
            return module.GemmaConfig(
                width=width, depth=3, mlp_dim=mlp, num_heads=4, num_kv_heads=1, head_dim=16
            )

        return choose

    class Mapping(dict):
        def __missing__(self, key):
            return lambda: PaliGemmaConfig(vision_config={**vision, "projection_dim": 64}, projection_dim=64)

    def shrunk(original):
        def make(config):
            config.vision_config.projection_dim = config.projection_dim = config.text_config.hidden_size
            config.vision_config.intermediate_size = 96
            config.text_config.vocab_size = config._vocab_size = 512
            config.image_token_index = config.image_token_id = 511
            return original(config=config)

        return make

    class Tokenizers:
        @staticmethod
        def from_pretrained(name, **options):
            return original_tokenizers.from_pretrained(
                tokenizer if "paligemma" in str(name) else name, **options
            )

    original_tokenizers = tokenizing.AutoTokenizer
    with pytest.MonkeyPatch.context() as patch:
        for module in (pi0, pi05):
            patch.setattr(module, "get_gemma_config", sizes(module))
            patch.setattr(module, "CONFIG_MAPPING", Mapping({"gemma": module.CONFIG_MAPPING["gemma"]}))
            name = "PaliGemmaForConditionalGenerationWithPiGemma"
            patch.setattr(module, name, shrunk(getattr(module, name)))
        if tokenizer is not None:
            patch.setattr(tokenizing, "AutoTokenizer", Tokenizers)
        yield


def save_pi(kind, directory, change=None, **changes):
    """Save a tiny pi0 or pi0.5, and inside of its directory a tokenizer."""
    from lerobot.policies.pi0.configuration_pi0 import PI0Config
    from lerobot.policies.pi05.configuration_pi05 import PI05Config
    from tiny_language import save_tokenizer

    save_tokenizer(directory / "paligemma-3b-pt-224")
    values = {
        "chunk_size": 6,
        "n_action_steps": 6,
        "max_action_dim": 8,
        "max_state_dim": 8,
        "image_resolution": (56, 56),
        "dtype": "float32",
        "num_inference_steps": 4,
        "tokenizer_max_length": 120,
        "device": "cpu",
    }
    config = {"pi0": PI0Config, "pi05": PI05Config}[kind]
    with small_paligemma(str(directory / "paligemma-3b-pt-224")):
        return save(config(**features((96, 128)), **{**values, **changes}), directory, change)


SAVE = {"act": save_act, "diffusion": save_diffusion, "smolvla": save_smolvla}
if not version("lerobot").startswith("0.4."):
    SAVE |= {kind: partial(save_pi, kind) for kind in ("pi0", "pi05")}


@contextmanager
def loadable(family):
    """Within it such a directory can be loaded: for pi0 and pi0.5 with the sizes that it was saved with."""
    if family in ("pi0", "pi05"):
        with small_paligemma(None):
            yield
    else:
        yield
