# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Effects of whole modalities in token space: their tokens at the modality's mean embedding."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from vla_iss_ros.iss.effects import Effect, with_share
from vla_iss_ros.iss.frames import FrameRun
from vla_iss_ros.iss.subjects import Tokens
from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, Encoded

NO_MEAN_STATE = "the policy has no recorded mean of its state"
NO_WORDS = "the instruction is no token of this policy"


def measure_token_effects(frame: FrameRun, tokens: Tokens, mean_state: Any) -> tuple[Effect, ...]:
    """Measure every camera, the instruction, the state, and everything together (last).

    ``mean_state``: float32 [S] physical units, or None. The state is no token everywhere; replacing it runs the vision
    tower once more.
    """
    cameras = tokens.cells.names
    everything = (*cameras, "")

    def moved(encoded: Encoded, kinds: tuple[str, ...], names: tuple[str, ...]) -> float:
        changed = tokens.without(encoded, kinds, names)
        return frame.mean_divergence(frame.evaluator.ask(lambda: frame.shared.tokens(encoded, changed)))

    effects = [Effect("camera", name, moved(tokens.encoded, (CAMERA,), (name,))) for name in cameras]
    if tokens.cells.words:
        effects.append(Effect("instruction", "instruction", moved(tokens.encoded, (INSTRUCTION,), ("",))))
    else:
        effects.append(Effect("instruction", "instruction", math.nan, reason=NO_WORDS))
    rested = _with_mean_state(frame, tokens, mean_state)
    if rested is None:
        effects.append(Effect("state", "state", math.nan, reason=NO_MEAN_STATE))
    else:
        effects.append(Effect("state", "state", moved(rested, (), ())))
    total = moved(rested or tokens.encoded, (CAMERA, INSTRUCTION), everything)
    effects.append(Effect("everything", "everything", total))
    return tuple(with_share(effect, total) for effect in effects)


def _with_mean_state(frame: FrameRun, tokens: Tokens, mean_state: Any) -> Encoded | None:
    """Return the observation with the recorded mean of its state, encoded; None where there is no such thing."""
    if mean_state is None or frame.observation.state is None:
        return None
    changed = frame.preprocess(dataclasses.replace(frame.observation, state=mean_state.numpy()))
    encoded: Encoded = frame.shared.policy.encode(changed)
    return encoded
