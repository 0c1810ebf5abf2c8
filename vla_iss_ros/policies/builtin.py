"""The shipped policy: a :class:`PatchTransformer` behind the policy protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional

from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.observing import camera_pixels, require_instruction, state_row
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig
from vla_iss_ros.policies.protocol import CameraSpec, PolicySpec

FORMAT = "vla_iss_ros.patch_transformer/1"
LARGEST_FILE = 64 * 2**20


class BuiltinPolicy:
    """A deterministic policy over image patches, words and state."""

    def __init__(
        self,
        network: PatchTransformer,
        device: torch.device,
        metadata: Mapping[str, str],
        weights_hash: str = "",
    ) -> None:
        config = network.config
        self.device = device
        self.network = network.to(device).eval().requires_grad_(False)
        camera = (config.image_size, config.image_size)
        self.spec = PolicySpec(
            name=metadata.get("name", "builtin"),
            cameras=tuple(CameraSpec(name, camera, (config.grid, config.grid)) for name in config.cameras),
            horizon=config.horizon,
            action_names=_names(metadata, "action_names", config.action_dim),
            action_units=_names(metadata, "action_units", config.action_dim, default="1"),
            state_names=_names(metadata, "state_names", config.state_dim),
            state_mean=tuple(network.state_mean.tolist()),
            weights_hash=weights_hash,
        )

    def preprocess(self, observation: Observation) -> Prepared:
        """Area-average every camera to the network's size and look up the words.

        Raises ValueError for a missing camera, a state of another size, or an empty instruction.
        """
        images = self.resize(camera_pixels(observation, self.spec.camera_names, self.device))
        require_instruction(observation)
        state = state_row(observation, self.spec.state_names, self.device)
        words = self.network.word_indices(observation.instruction)[None].to(self.device)
        return Prepared(images, {"state": state, "words": words})

    def resize(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Area-average images float32 [N, 3, H, W] in [0, 1] to the network's size."""
        sizes = {camera.name: camera.input_size for camera in self.spec.cameras}
        return {
            name: functional.interpolate(image, size=sizes[name], mode="area")
            for name, image in images.items()
        }

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        """Return None: the policy is deterministic."""
        return None

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        """Act on N variants of ``base``; a camera that is not in ``images`` is embedded once."""
        count = max((len(rows) for rows in images.values()), default=1)
        patches = []
        for name, picture in base.images.items():
            embedded = self.network.embed_images(images.get(name, picture))
            patches.append(embedded.expand(count, -1, -1))
        words = base.inputs["words"]
        normalised = self.network.act(
            torch.stack(patches, 1),
            self.network.embed_words(words).expand(count, -1, -1),
            (words == 0).expand(count, -1),
            base.inputs["state"].expand(count, -1),
        )
        return Actions(normalised, normalised * self.network.action_std + self.network.action_mean)


def load_builtin(path: Path, device: torch.device) -> BuiltinPolicy:
    """Load a checkpoint from a safetensors file; raises PolicyError in one line when it is not usable."""
    if not path.is_file():
        raise PolicyError(f"no checkpoint at '{path}'; give builtin:PATH of a .safetensors file")
    if path.stat().st_size > LARGEST_FILE:
        raise PolicyError(f"checkpoint '{path}' has {path.stat().st_size} bytes, more than {LARGEST_FILE}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise PolicyError(f"checkpoint '{path}' is not a readable safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise PolicyError(f"checkpoint '{path}' has format {metadata.get('format')!r}, need {FORMAT!r}")
    broken = [key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise PolicyError(f"checkpoint '{path}' holds values that are not finite in '{broken[0]}'")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    try:
        network = PatchTransformer(PatchTransformerConfig.from_dict(json.loads(metadata["config"])))
        network.load_state_dict(tensors)
        return BuiltinPolicy(network, device, {"name": path.stem, **metadata}, digest)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PolicyError(f"checkpoint '{path}' does not fit its configuration: {reason}") from error


def _names(metadata: Mapping[str, str], key: str, count: int, default: str = "") -> tuple[str, ...]:
    """Return the names that the checkpoint gives, or ``count`` placeholders when it gives none that fit."""
    stem = key.split("_")[0]
    fallback = tuple(default or f"{stem}_{index}" for index in range(count))
    if key not in metadata:
        return fallback
    names = json.loads(metadata[key])
    if not isinstance(names, list) or len(names) != count:
        raise PolicyError(f"{key} in the checkpoint must be {count} names, got {names!r}")
    return tuple(str(name) for name in names)
