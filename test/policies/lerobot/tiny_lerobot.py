"""Tiny random policies of the real classes, saved as LeRobot saves them, and what their robot sees."""

import numpy as np
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


SAVE = {"act": save_act, "diffusion": save_diffusion}
