# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shipped policy: a :class:`PatchTransformer` behind the policy protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, Encoded, Segment, TokenScores
from vla_iss_ros.policies.attention_watch import AttentionWatch, rollout
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.observing import camera_pixels, require_cameras, require_instruction, state_row
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig
from vla_iss_ros.policies.protocol import CameraSpec, PolicySpec
from vla_iss_ros.policies.resizing import area_of_bytes
from vla_iss_ros.policies.safetensors_file import read_safetensors

FORMAT = "vla_iss_ros.patch_transformer/1"
LARGEST_FILE = 64 * 2**20


class PixelPolicy:
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
        require_cameras(observation, self.spec.camera_names)
        if self.device.type == "cpu":
            images = {
                camera.name: area_of_bytes(observation.images[camera.name], camera.input_size)
                for camera in self.spec.cameras
            }
        else:
            images = self.resize(camera_pixels(observation, self.spec.camera_names, self.device))
        return self.preprocess_inputs(observation, Prepared(images, {}))

    def preprocess_inputs(self, observation: Observation, base: Prepared) -> Prepared:
        """Look up the words and take the state; images are those of ``base``. Raises ValueError as above."""
        require_instruction(observation)
        state = state_row(observation, self.spec.state_names, self.device)
        words = self.network.word_indices(observation.instruction)[None].to(self.device)
        texts = tuple(observation.instruction.lower().split())
        return Prepared(base.images, {"state": state, "words": words}, words=texts)

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
        return self._actions(normalised)

    def _actions(self, normalised: Tensor) -> Actions:
        return Actions(normalised, normalised * self.network.action_std + self.network.action_mean)


class BuiltinPolicy(PixelPolicy):
    """The same with its tokens, attention, hidden positions and heads."""

    @property
    def heads(self) -> tuple[str, ...]:
        """Every attention head, layer by layer."""
        config = self.network.config
        return tuple(
            f"layer {layer} head {head}" for layer in range(config.layers) for head in range(config.heads)
        )

    def encode(self, base: Prepared) -> Encoded:
        """Embed words, then every camera's patches; positions are added later."""
        words = base.inputs["words"]
        tokens = [self.network.embed_words(words)]
        tokens += [self.network.embed_images(image) for image in base.images.values()]
        texts = base.words[: words.shape[1]]
        segments = [Segment(INSTRUCTION, 0, len(texts), words=texts, word_of=tuple(range(len(texts))))]
        start, grid = words.shape[1], self.network.config.grid
        for name in base.images:
            segments.append(Segment(CAMERA, start, start + grid**2, name, (grid, grid)))
            start += grid**2
        return Encoded(torch.cat(tokens, 1), tuple(segments), base.inputs)

    def run_tokens(self, encoded: Encoded, tokens: Tensor, noise: Tensor | None) -> Actions:
        """Act on N variants of the embeddings."""
        return self._act(encoded, tokens)

    def attention(self, encoded: Encoded, noise: Tensor | None) -> TokenScores:
        """Return the attention rollout from the action queries, averaged over them."""
        watch, horizon = AttentionWatch(wants_weights=True), self.network.config.horizon
        self._act(encoded, encoded.tokens, watch)
        scores = rollout(watch.weights, horizon)[0, horizon + 1 :]
        return TokenScores(scores, "attention rollout over all layers, mean over action steps")

    def run_knocked_out(self, encoded: Encoded, hidden: Tensor, noise: Tensor | None) -> Actions:
        """Act with positions that the action queries cannot read; patches and words are computed once."""
        contexts = self.network.contexts(*self._parts(encoded, encoded.tokens))
        absent = encoded.inputs["words"] == 0
        padding = functional.pad(absent, (0, hidden.shape[1] - absent.shape[1]), value=False)
        return self._actions(self.network.act_on_contexts(contexts, functional.pad(padding | hidden, (1, 0))))

    def head_outputs(self, encoded: Encoded, noise: Tensor | None) -> Tensor:
        """Return every head's output averaged over positions, float32 [H, d]."""
        watch = AttentionWatch()
        self._act(encoded, encoded.tokens, watch)
        return torch.cat([layer[0].mean(1) for layer in watch.outputs]).float()

    def run_heads(self, encoded: Encoded, ablated: Tensor, means: Tensor, noise: Tensor | None) -> Actions:
        """Act on N variants whose heads in ``ablated`` bool [N, H] give ``means`` [H, d]."""
        tokens = encoded.tokens.expand(len(ablated), -1, -1)
        return self._act(encoded, tokens, AttentionWatch(ablated=ablated, means=means))

    def _act(self, encoded: Encoded, tokens: Tensor, watch: AttentionWatch | None = None) -> Actions:
        return self._actions(self.network.act(*self._parts(encoded, tokens), watch))

    def _parts(self, encoded: Encoded, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        words, state = encoded.inputs["words"], encoded.inputs["state"]
        patches = tokens[:, words.shape[1] :].unflatten(1, (len(self.spec.cameras), -1))
        rows = len(tokens)
        absent = (words == 0).expand(rows, -1)
        return patches, tokens[:, : words.shape[1]], absent, state.expand(rows, -1)


def load_builtin(path: Path, device: torch.device) -> BuiltinPolicy:
    """Load a checkpoint from a safetensors file; raises PolicyError in one line when it is not usable."""
    if not path.is_file():
        raise PolicyError(f"no checkpoint at '{path}'; give builtin:PATH of a .safetensors file")
    tensors, metadata, content = read_safetensors(path, LARGEST_FILE, "checkpoint")
    if metadata.get("format") != FORMAT:
        raise PolicyError(f"checkpoint '{path}' has format {metadata.get('format')!r}, need {FORMAT!r}")
    broken = [key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise PolicyError(f"checkpoint '{path}' holds values that are not finite in '{broken[0]}'")
    digest = hashlib.sha256(content).hexdigest()[:16]
    try:
        config = PatchTransformerConfig.from_dict(json.loads(metadata["config"]))
        _require_shapes(config, tensors)
        network = PatchTransformer(config)
        network.load_state_dict(tensors)
        return BuiltinPolicy(network, device, {"name": path.stem, **metadata}, digest)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PolicyError(f"checkpoint '{path}' does not fit its configuration: {reason}") from error


def _require_shapes(config: PatchTransformerConfig, tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError where ``config`` asks for other weights than the file has, before memory is taken for them."""
    layers = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    if len(layers) != config.layers:  # every layer is an object, also where its weights take no memory
        raise ValueError(f"it asks for {config.layers} layers, the file has {len(layers)}")
    with torch.device("meta"):
        wanted = {name: list(each.shape) for name, each in PatchTransformer(config).state_dict().items()}
    given = {name: list(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"'{name}' must be {wanted.get(name, 'absent')}, the file has {given.get(name, 'none')}"
            + (f"; {len(wrong) - 1} others differ as well" if len(wrong) > 1 else "")
        )


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
