# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a set of explained frames says about a policy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vla_iss_ros.analysis.bootstrap import MeanInterval, mean_interval
from vla_iss_ros.iss.explanation import Explanation


@dataclass(frozen=True)
class ExplainedFrame:
    """One explained frame, from a recorded bag or from the engine itself. ``samples`` 0: N is not known.

    ``seconds``: time in the bag. ``nmr``, ``low``, ``high``, ``chance``: of the headline NMR, NaN where
    undefined, with ``reason``. ``effects``: share of each modality's effect, by the modality's name; NaN with
    a text in ``effect_reasons``. ``episode``: frames of different episodes are not neighbours.
    """

    stamp: int
    seconds: float
    nmr: float
    low: float = math.nan
    high: float = math.nan
    chance: float = math.nan
    samples: int = 0
    reason: str = ""
    effects: Mapping[str, float] = field(default_factory=dict)
    effect_reasons: Mapping[str, str] = field(default_factory=dict)
    episode: str = ""

    @classmethod
    def of(cls, explanation: Explanation, percent: int, seconds: float, episode: str = "") -> ExplainedFrame:
        """Return what is kept of an explanation made in this process."""
        ratio = explanation.ratios[percent]
        measured = [effect for effect in explanation.effects if effect.kind != "everything"]
        return cls(
            stamp=explanation.stamp,
            seconds=seconds,
            nmr=ratio.value,
            low=ratio.low,
            high=ratio.high,
            chance=ratio.chance,
            samples=explanation.samples,
            reason=ratio.reason,
            effects={effect.name: effect.share for effect in measured},
            effect_reasons={effect.name: effect.reason for effect in measured if effect.reason},
            episode=episode,
        )


@dataclass(frozen=True)
class Summary:
    """Means over frames. ``frames``: all explained ones; ``nmr.count``: those with a defined NMR.

    ``samples``: (least, most) known N. ``effects``: mean share by modality, NaN with a text in
    ``effect_reasons``.
    """

    frames: int
    samples: tuple[int, int]
    nmr: MeanInterval
    chance: float
    effects: Mapping[str, float]
    effect_reasons: Mapping[str, str]


def summarise(frames: Sequence[ExplainedFrame], generator: np.random.Generator) -> Summary:
    """Return the means over ``frames``, in order of time; ``generator`` draws the NMR's interval."""
    if not frames:
        nothing = "no frame was explained"
        return Summary(0, (0, 0), MeanInterval(math.nan, math.nan, math.nan, 0, nothing), math.nan, {}, {})
    nmr = mean_interval(_by_episode(frames), generator)
    samples = [frame.samples for frame in frames if frame.samples] or [0]
    if nmr.count == 0:
        reasons = sorted({frame.reason for frame in frames if frame.reason})
        nmr = MeanInterval(
            math.nan, math.nan, math.nan, 0, "; ".join(reasons) or "NMR is undefined in every frame"
        )
    names = list(dict.fromkeys(name for frame in frames for name in frame.effects))
    effects = {name: _mean([frame.effects.get(name, math.nan) for frame in frames]) for name in names}
    reasons_of = {name: text for frame in frames for name, text in frame.effect_reasons.items()}
    return Summary(
        frames=len(frames),
        samples=(min(samples), max(samples)),
        nmr=nmr,
        chance=_mean([frame.chance for frame in frames]),
        effects=effects,
        effect_reasons={
            name: reasons_of.get(name, "never measured")
            for name, value in effects.items()
            if math.isnan(value)
        },
    )


def _by_episode(frames: Sequence[ExplainedFrame]) -> list[np.ndarray]:
    episodes: dict[str, list[float]] = {}
    for frame in frames:
        episodes.setdefault(frame.episode, []).append(frame.nmr)
    return [np.array(values) for values in episodes.values()]


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if not math.isnan(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan
