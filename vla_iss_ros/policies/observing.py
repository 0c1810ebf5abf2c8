# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From an observation to the numbers that policies take; what does not fit is named."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vla_iss_ros.iss.canvas import pixels_of
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.errors import MissingInstructionError

UNKNOWN_WORD = 1
FIRST_WORD = 2


def camera_pixels(
    observation: Observation, cameras: Sequence[str], device: torch.device
) -> dict[str, Tensor]:
    """Return camera name to float32 [1, 3, H, W] in [0, 1]; raises ValueError for a missing camera."""
    require_cameras(observation, cameras)
    return {camera: pixels_of(observation.images[camera], device) for camera in cameras}


def require_cameras(observation: Observation, cameras: Sequence[str]) -> None:
    """Raise ValueError for a missing camera."""
    missing = [camera for camera in cameras if camera not in observation.images]
    if missing:
        raise ValueError(f"policy needs camera '{missing[0]}', got {sorted(observation.images)}")


def state_row(observation: Observation, names: Sequence[str], device: torch.device) -> Tensor:
    """Return the state, float32 [1, S], physical units; raises ValueError when it has not one number a name."""
    size = len(names)
    if observation.state is None or observation.state.shape != (size,):
        found = None if observation.state is None else list(observation.state.shape)
        raise ValueError(f"policy needs a state of {size} numbers {list(names)}, got {found}")
    return torch.as_tensor(observation.state, dtype=torch.float32, device=device)[None]


def require_instruction(observation: Observation) -> None:
    """Raise MissingInstructionError when the instruction is empty."""
    if not observation.instruction.strip():
        raise MissingInstructionError(
            "instruction is empty; send one on the instruction topic or set the parameter"
        )


def word_indices(instruction: str, vocabulary: Sequence[str], max_words: int) -> Tensor:
    """Return the words of ``instruction`` as int64 [max_words]: 0 absent, 1 unknown, then the vocabulary.

    Words are lower-cased and split at white space; words beyond ``max_words`` are dropped.
    """
    known = {word: index + FIRST_WORD for index, word in enumerate(vocabulary)}
    found = [known.get(word, UNKNOWN_WORD) for word in instruction.lower().split()][:max_words]
    return torch.tensor(found + [0] * (max_words - len(found)), dtype=torch.int64)
