# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Does the policy use this camera, the instruction, the state at all?

The effect of a modality is the divergence of the action when the whole modality is replaced, with everything else as
it was; its share is that over the divergence when everything is replaced. Shares need not add up to 1: modalities
can stand in for each other, or matter only together.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vla_iss_ros.iss.divergences import Divergence, mean_divergence
from vla_iss_ros.iss.frames import FrameRun
from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.iss.words import WordSaliency

MAX_DONORS = 8


@dataclass(frozen=True)
class Effect:
    """Effect of replacing one modality.

    ``kind``: camera, instruction, state or everything. ``delta``: mean divergence, in units of delta. ``share``:
    ``delta`` over that of replacing everything. NaN with a ``reason`` where it could not be measured.
    """

    kind: str
    name: str
    delta: float
    share: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class Replacements:
    """What whole modalities are replaced by.

    ``pictures``: camera name to float32 [D, 3, h, w]. ``instructions``: other instructions. ``state``: the recorded
    mean of the state, physical units.
    """

    pictures: Mapping[str, Tensor]
    instructions: Sequence[str]
    state: Tensor | None


def measure_effects(
    observation: Observation,
    base: Prepared,
    reference: Actions,
    replacements: Replacements,
    preprocess: Callable[[Observation], Prepared],
    run: Callable[[Prepared, Mapping[str, Tensor]], Sequence[Actions]],
    divergence: Divergence,
) -> tuple[Effect, ...]:
    """Measure every camera, the instruction, the state, and everything together (last).

    ``reference`` is the answer to ``base``; ``run`` answers variants, in one or several batches. At most ``MAX_DONORS``
    pictures and instructions are used.
    """

    def moved(prepared: Prepared, images: Mapping[str, Tensor]) -> float:
        return mean_divergence(divergence, run(prepared, images), reference)

    pictures = {name: donors[:MAX_DONORS] for name, donors in replacements.pictures.items()}
    others = sorted(set(replacements.instructions) - {observation.instruction})[:MAX_DONORS]
    mean_state = None if replacements.state is None else replacements.state.numpy()
    effects = [Effect("camera", name, moved(base, {name: donors})) for name, donors in pictures.items()]
    if others:
        deltas = [
            moved(preprocess(dataclasses.replace(observation, instruction=text)), {}) for text in others
        ]
        effects.append(Effect("instruction", "instruction", math.fsum(deltas) / len(deltas)))
    else:
        reason = "no other instruction is known; give donor frames with other instructions"
        effects.append(Effect("instruction", "instruction", math.nan, reason=reason))
    state_known = mean_state is not None and observation.state is not None
    if state_known:
        changed = dataclasses.replace(observation, state=mean_state)
        effects.append(Effect("state", "state", moved(preprocess(changed), {})))
    else:
        reason = "the policy has no recorded mean of its state"
        effects.append(Effect("state", "state", math.nan, reason=reason))
    everything = []
    for text in others or [observation.instruction]:
        changed = dataclasses.replace(observation, instruction=text)
        if state_known:
            changed = dataclasses.replace(changed, state=mean_state)
        everything.append(moved(preprocess(changed), pictures))
    total = math.fsum(everything) / len(everything)
    effects.append(Effect("everything", "everything", total))
    return tuple(with_share(effect, total) for effect in effects)


def measure_words(frame: FrameRun) -> tuple[WordSaliency, ...]:
    """Measure each word of the instruction by leaving it out of the text; of a single word nothing is left to run.

    One run a word, so there is no standard error. A text that lacks a word can be odd in itself.
    """
    words = frame.observation.instruction.split()
    if len(words) < 2:
        return ()
    saliencies = []
    for index, word in enumerate(words):
        text = " ".join(words[:index] + words[index + 1 :])
        changed = frame.preprocess(dataclasses.replace(frame.observation, instruction=text))
        saliencies.append(WordSaliency(word, frame.mean_divergence(*frame.ask_pixels(changed, {}))))
    return tuple(saliencies)


def with_share(effect: Effect, everything: float) -> Effect:
    """Return ``effect`` with its share of the divergence of replacing everything."""
    if math.isnan(effect.delta):
        return effect
    if everything <= 0:
        return dataclasses.replace(effect, reason="replacing everything does not move the action")
    return dataclasses.replace(effect, share=effect.delta / everything)


def mean_state_tensor(values: Sequence[float] | None) -> Tensor | None:
    """Return a recorded mean as float32 [S], or None."""
    return None if values is None else torch.tensor(values, dtype=torch.float32)
