# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What all policies of LeRobot have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss.distributions import Distribution, ReferencePath
from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.lerobot.directory import Directory, Names
from vla_iss_ros.policies.lerobot.letterbox import Native, ResizeRule
from vla_iss_ros.policies.lerobot.processors import ACTION, STATE, Processors
from vla_iss_ros.policies.observing import camera_pixels, require_instruction, state_row
from vla_iss_ros.policies.protocol import CameraSpec, PolicySpec

IMAGES = "observation.images."
EMPTY_CAMERA = "empty_camera"


@dataclass(frozen=True)
class Parts:
    """A loaded policy of the library: ``network`` is its PreTrainedPolicy."""

    network: Any
    config: Any
    processors: Processors
    directory: Directory
    device: torch.device
    weights_hash: str


class LeRobotPolicy:
    """A policy in pixel space. Subclasses say how the network is run.

    The policy of the library is a copy of its own: nothing touches the queues of a robot's.
    """

    distribution = ""

    def __init__(self, parts: Parts) -> None:
        self.network, self.config, self.device = parts.network, parts.config, parts.device
        self.processors = parts.processors
        keys = [key for key in self.config.image_features if not _short(key).startswith(EMPTY_CAMERA)]
        # A camera is called as the robot calls it, before the preprocessor renames it.
        self._keys = {_short(self.processors.originals.get(key, key)): key for key in keys}
        if len(self._keys) < len(keys) or not keys:
            raise PolicyError(
                f"'{parts.directory.path}' must name at least one camera, each once, got {keys}"
            )
        self._rules = {name: self.resize_rule(key, name) for name, key in self._keys.items()}
        self.spec = self._spec(parts)

    def resize_rule(self, key: str, camera: str) -> ResizeRule:
        """Return how a camera's image is brought to the network's size: as it was recorded."""
        return Native(tuple(self.config.image_features[key].shape[1:]), camera)

    def token_grid(self, camera: str) -> tuple[int, int] | None:
        """Return rows and columns of a camera's tokens; None for a policy without tokens."""
        return None

    @property
    def horizon(self) -> int:
        """Steps of an answer."""
        return int(self.config.chunk_size)

    @property
    def noise_shape(self) -> tuple[int, ...] | None:
        """The shape of one row of noise; None for a deterministic policy."""
        return None

    def preprocess(self, observation: Observation) -> Prepared:
        """Bring images to the network's size; run the saved preprocessor on the state and the instruction.

        Raises ValueError for a missing camera, images that the policy was not made for, a state of another size, or
        an empty instruction where the policy takes one.
        """
        pixels = camera_pixels(observation, self.spec.camera_names, self.device)
        state = state_row(observation, self.spec.state_names, self.device)
        if self.processors.tokenizer is not None:
            require_instruction(observation)
        inputs, text = self.processors.inputs(state, observation.instruction)
        boxes = {name: self._rules[name].content(*image.shape[-2:]) for name, image in pixels.items()}
        return Prepared(
            self.resize(pixels),
            self.prepare_inputs(inputs, text),
            {name: box for name, box in boxes.items() if box is not None},
            self.words(observation.instruction, text),
        )

    def words(self, instruction: str, text: str) -> tuple[str, ...]:
        """Return the instruction's words where the policy takes them; ``text`` is what was tokenised."""
        return ()

    def prepare_inputs(self, inputs: dict[str, Tensor], text: str) -> dict[str, Any]:
        """Return what the network takes beside images; ``text`` is what was tokenised."""
        return inputs

    def resize(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Bring images float32 [N, 3, H, W] in [0, 1] to the network's size."""
        return {name: self._rules[name](image) for name, image in images.items()}

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        """Draw one row of standard normal noise, float32 [1, *noise_shape], or None for a deterministic policy."""
        if self.noise_shape is None:
            return None
        return torch.randn(1, *self.noise_shape, generator=generator).to(self.device)

    def run_pixels(
        self,
        base: Prepared,
        images: Mapping[str, Tensor],
        noise: Tensor | None,
        path: ReferencePath | None = None,
    ) -> Actions:
        """Act on N variants of ``base``; all rows share ``noise``. With ``path`` the distribution along it is given."""
        count = max((len(rows) for rows in images.values()), default=1)
        pictures = {
            key: images.get(name, base.images[name]).expand(count, -1, -1, -1)
            for name, key in self._keys.items()
        }
        batch = {**self.rows(base.inputs, count), **self.processors.images(pictures)}
        return self.answer(*self.act(batch, noise, path))

    def act(
        self, batch: dict[str, Tensor], noise: Tensor | None, path: ReferencePath | None
    ) -> tuple[Tensor, Distribution | None]:
        """Return normalised actions [N, T, A] of a batch of the network's inputs, and the distribution on a path."""
        raise NotImplementedError  # abstract

    def answer(self, normalised: Tensor, distribution: Distribution | None = None) -> Actions:
        """Return the actions in both units."""
        normalised = normalised.float()
        return Actions(normalised, self.processors.physical(normalised), distribution)

    def rows(self, inputs: Mapping[str, Any], count: int) -> dict[str, Tensor]:
        """Return inputs of one row [1, ...] as ``count`` rows; copies, as some networks write into them."""
        return {
            key: value.expand(count, *value.shape[1:]).clone()
            for key, value in inputs.items()
            if isinstance(value, Tensor)
        }

    def _spec(self, parts: Parts) -> PolicySpec:
        names, config = parts.directory.names, self.config
        actions, state = config.output_features[ACTION].shape[0], config.input_features[STATE].shape[0]
        given = names.actions or tuple(getattr(config, "action_feature_names", None) or ())
        _refuse_names(parts.directory, names, actions, state)
        return PolicySpec(
            name=f"{parts.directory.kind} {parts.directory.path.name}",
            cameras=tuple(
                CameraSpec(name, rule.size, self.token_grid(name), rule.described)
                for name, rule in self._rules.items()
            ),
            horizon=self.horizon,
            action_names=given if len(given) == actions else tuple(f"action_{i}" for i in range(actions)),
            action_units=names.units or ("as recorded",) * actions,
            state_names=names.state or tuple(f"state_{i}" for i in range(state)),
            state_mean=self.processors.state_mean(),
            noise_shape=self.noise_shape,
            weights_hash=parts.weights_hash,
            distribution=self.distribution,
        )


def _short(key: str) -> str:
    return key.removeprefix(IMAGES)


def _refuse_names(directory: Directory, names: Names, actions: int, state: int) -> None:
    for what, given, count in (
        ("action_names", names.actions, actions),
        ("action_units", names.units, actions),
        ("state_names", names.state, state),
    ):
        if given and len(given) != count:
            raise PolicyError(
                f"{what} in '{directory.path}' must be {count} names, got {len(given)}; correct the file of names"
            )
