# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""OpenVLA behind the policy protocol: one forward of the language model for all action tokens of all rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vla_iss_ros.iss.distributions import Categorical, ReferencePath
from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, Encoded, Segment
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.observing import camera_pixels, require_instruction
from vla_iss_ros.policies.openvla.directory import Directory
from vla_iss_ros.policies.openvla.prompt import prompt_of
from vla_iss_ros.policies.protocol import CameraSpec, PolicySpec

NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
UNITS = ("m", "m", "m", "rad", "rad", "rad", "1")
IDS, SPAN, WORD_OF = "ids", "span", "word_of"


class OpenVlaPolicy:
    """Action tokens from one camera and an instruction.

    Needs of ``model`` what OpenVLA's own class has: ``vision_backbone``, ``projector`` and ``language_model``. The
    model's ``generate`` takes one row (https://github.com/openvla/openvla/issues/228); this goes around it.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        directory: Directory,
        camera: str,
        device: torch.device,
        weights_hash: str = "",
    ) -> None:
        self._model, self._tokenizer, self._directory = model, tokenizer, directory
        self.device, self._camera = device, camera
        self._dtype = next(model.projector.parameters()).dtype
        self._towers = [
            (
                torch.tensor(mean, device=device)[:, None, None],
                torch.tensor(std, device=device)[:, None, None],
            )
            for mean, std in zip(directory.means, directory.stds, strict=True)
        ]
        statistics = directory.statistics
        self._low, self._high = (
            torch.tensor(values, device=device) for values in (statistics.low, statistics.high)
        )
        self._mask = torch.tensor(statistics.mask, device=device)
        count, size = len(statistics.low), (directory.size, directory.size)
        edges = torch.linspace(-1, 1, directory.bins, device=device)
        # The last id is the first bin; the id before all bins stands for the last one too, as OpenVLA decodes it.
        centres = (edges[:-1] + edges[1:]) / 2
        self._centres = torch.cat([centres.flip(0)[:1], centres.flip(0)])
        with torch.inference_mode():
            patches = self._patches(torch.full((1, 3, *size), 0.5, device=device)).shape[1]
        side = math.isqrt(patches)
        if side * side != patches:
            raise PolicyError(
                f"the vision tower of '{directory.path}' gives {patches} patches, which is no square"
            )
        self._grid = (side, side)
        self.spec = PolicySpec(
            name=directory.path.name,
            cameras=(CameraSpec(camera, size, self._grid, directory.strategy),),
            horizon=1,
            action_names=NAMES if count == len(NAMES) else tuple(f"action_{index}" for index in range(count)),
            action_units=UNITS if count == len(NAMES) else ("1",) * count,
            weights_hash=weights_hash,
            distribution="categorical",
        )

    def preprocess(self, observation: Observation) -> Prepared:
        """Resize the camera's image and tokenise the prompt; raises ValueError for what is missing."""
        pixels = camera_pixels(observation, (self._camera,), self.device)
        require_instruction(observation)
        prompt = prompt_of(observation.instruction, self._tokenizer, self._directory.version)
        inputs = {
            IDS: torch.tensor([prompt.ids], device=self.device),
            SPAN: torch.tensor([[prompt.start, prompt.stop]]),
            WORD_OF: torch.tensor([prompt.word_of]),
        }
        box = self._box(pixels[self._camera])
        content = {} if box[2:] == (self._directory.size,) * 2 else {self._camera: box}
        return Prepared(self.resize(pixels), inputs, content, prompt.words)

    def resize(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Bring images float32 [N, 3, H, W] in [0, 1] to the tower's size: stretched, or padded to a square first."""
        return {name: self._resized(image) for name, image in images.items()}

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        """Return None: actions are the most likely tokens."""
        return None

    def run_pixels(
        self,
        base: Prepared,
        images: Mapping[str, Tensor],
        noise: Tensor | None,
        path: ReferencePath | None = None,
    ) -> Actions:
        """Act on N variants of ``base``: each row's own greedy tokens, or with ``path`` along its tokens."""
        patches = self._patches(images.get(self._camera, base.images[self._camera]))
        return self._act(self._sequence(patches, base.inputs[IDS]), path)

    def encode(self, base: Prepared) -> Encoded:
        """Embed the image's patches, as the language model takes them, and the prompt."""
        patches = self._patches(base.images[self._camera])
        count, prompt = patches.shape[1], base.inputs
        start, stop = (int(value) + count for value in prompt[SPAN][0])
        content = base.content.get(self._camera)
        scale = self._grid[0] / self._directory.size
        box = None if content is None else tuple(side * scale for side in content)
        segments = (
            # After the token that begins the text.
            Segment(CAMERA, 1, 1 + count, self._camera, self._grid, box),  # type: ignore[arg-type]
            Segment(INSTRUCTION, start, stop, words=base.words, word_of=tuple(prompt[WORD_OF][0].tolist())),
        )
        return Encoded(self._sequence(patches, prompt[IDS]), segments, prompt)

    def run_tokens(
        self, encoded: Encoded, tokens: Tensor, noise: Tensor | None, path: ReferencePath | None = None
    ) -> Actions:
        """Act on N variants of the embeddings as ``run_pixels`` does; the vision tower does not run."""
        return self._act(tokens, path)

    def reference_path(self, base: Prepared, noise: Tensor | None) -> ReferencePath:
        """Return the greedy action tokens of the observation, ids int64 [1, K]."""
        patches = self._patches(base.images[self._camera])
        return ReferencePath(self._greedy(self._sequence(patches, base.inputs[IDS])))

    def _act(self, tokens: Tensor, path: ReferencePath | None) -> Actions:
        if path is None:
            return self._actions(self._greedy(tokens))
        forced = path.points.expand(len(tokens), -1)
        following = self._embed(forced[:, :-1])
        logits = self._bins(torch.cat([tokens, following.to(tokens)], 1))[:, -forced.shape[1] :]
        actions = self._actions(logits.argmax(-1) + self._first)
        return Actions(actions.normalised, actions.physical, Categorical(logits))

    def _greedy(self, tokens: Tensor) -> Tensor:
        """Return every row's greedy action tokens, int64 [N, K]; only ids of actions are looked at."""
        answer = self._model.language_model(inputs_embeds=tokens.to(self._dtype), use_cache=True)
        chosen: list[Tensor] = []
        for step in range(len(self._directory.statistics.low)):
            if step:
                answer = self._model.language_model(
                    inputs_embeds=self._embed(chosen[-1]).to(self._dtype),
                    past_key_values=answer.past_key_values,
                    use_cache=True,
                )
            logits = answer.logits[:, -1:, self._first : self._directory.vocabulary]
            chosen.append(logits.float().argmax(-1) + self._first)
        return torch.cat(chosen, 1)

    def _bins(self, tokens: Tensor) -> Tensor:
        """Return logits of the action ids after every token, float32 [N, L, bins]."""
        answer = self._model.language_model(inputs_embeds=tokens.to(self._dtype), use_cache=False)
        logits: Tensor = answer.logits[:, :, self._first : self._directory.vocabulary].float()
        return logits

    @property
    def _first(self) -> int:
        return self._directory.vocabulary - self._directory.bins

    def _actions(self, ids: Tensor) -> Actions:
        """Return actions [N, 1, K] of token ids [N, K]."""
        normalised = self._centres[ids - self._first]
        physical = 0.5 * (normalised + 1) * (self._high - self._low) + self._low
        return Actions(normalised[:, None], torch.where(self._mask, physical, normalised)[:, None])

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._model.language_model.get_input_embeddings()(ids)
        return embedded

    def _sequence(self, patches: Tensor, ids: Tensor) -> Tensor:
        """Return [N, 1 + P + rest, D]: the first token, the patches, the rest of the prompt."""
        text = self._embed(ids).expand(len(patches), -1, -1)
        return torch.cat([text[:, :1], patches.to(text), text[:, 1:]], 1)

    def _patches(self, images: Tensor) -> Tensor:
        """Return projected patches [N, P, D] of images [N, 3, h, w] in [0, 1]."""
        pixels = torch.cat([(images - mean) / std for mean, std in self._towers], 1)
        patches: Tensor = self._model.projector(self._model.vision_backbone(pixels.to(self._dtype)))
        return patches

    def _resized(self, images: Tensor) -> Tensor:
        if self._directory.strategy == "letterbox":
            height, width = images.shape[-2:]
            longest = max(height, width)
            down, across = (longest - height) // 2, (longest - width) // 2
            sides = (across, longest - width - across, down, longest - height - down)
            # OpenVLA fills with the last tower's mean, as whole numbers of 255, for all towers.
            fill = (self._towers[-1][0] * 255).floor() / 255
            images = functional.pad(images - fill, sides) + fill
        size = (self._directory.size, self._directory.size)
        if images.shape[-2:] == size:
            return images
        return functional.interpolate(images, size, mode="bicubic", antialias=True).clamp(0, 1)

    def _box(self, image: Tensor) -> tuple[int, int, int, int]:
        size = self._directory.size
        if self._directory.strategy != "letterbox":
            return 0, 0, size, size
        height, width = image.shape[-2:]
        inner = round(size * height / max(height, width)), round(size * width / max(height, width))
        return (size - inner[0]) // 2, (size - inner[1]) // 2, *inner
