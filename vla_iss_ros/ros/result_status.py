"""Diagnostics of results: NMR against chance."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from vla_iss_ros.iss.nmr import NuisanceMassRatio
from vla_iss_ros.messages.stamps import SECOND
from vla_iss_ros.ros.diagnostics import ERROR, OK, WARN, Status
from vla_iss_ros.ros.outputs import Result, describe

STALE_SECONDS = 5.0
STALE_FACTOR = 3.0


def nmr_status(
    result: Result | None, seconds: Mapping[str, float], settings: Any, forgotten: Mapping[str, int]
) -> Status:
    """Return the status ``NMR``: the headline, judged by its ratio to chance, its age and all figures.

    ``forgotten``: how often the stream of frames began anew, by reason.
    """
    if result is None:
        return Status("NMR", WARN, "no frame has been explained yet")
    headline, explanation = result.headline, result.explanation
    age = time.monotonic() - result.frame.arrived
    level, message = nmr_level(headline, settings), describe(headline, explanation.samples)
    if age > max(STALE_SECONDS, STALE_FACTOR * seconds.get("latency", 0.0)):
        level, message = max(level, WARN), f"stale, {age:.0f} s old: {message}"
    values: dict[str, Any] = {
        "age (s)": age,
        f"NMR@{headline.percent}": headline.value,
        "NMR low": headline.low,
        "NMR high": headline.high,
        "NMR reason": headline.reason,
        "chance": headline.chance,
        "floor": headline.floor,
        **{f"NMR camera {camera}": value for camera, value in headline.per_view.items()},
        **{f"NMR@{percent}": ratio.value for percent, ratio in explanation.ratios.items()},
        "samples N": explanation.samples,
        "stop reason": explanation.stop_reason,
        "samples remembered": explanation.remembered,
        **{f"stream began anew: {why}": count for why, count in forgotten.items()},
        "mean delta": explanation.mean_delta,
        "noise floor": explanation.noise_floor,
        "policy shares its noise": explanation.shared_noise,
    }
    for effect in explanation.effects:
        name = effect.name if effect.kind != "camera" else f"camera {effect.name}"
        values[f"effect {name} delta"] = effect.delta
        values[f"effect {name} share"] = effect.share
        if effect.reason:
            values[f"effect {name} reason"] = effect.reason
    values.update({f"seconds {stage}": value for stage, value in seconds.items()})
    values["stamp (s)"] = "{}.{:09d}".format(*divmod(result.frame.stamp, SECOND))
    values["instruction"] = result.observation.instruction[:200]
    return Status("NMR", level, message, values)


def nmr_level(headline: NuisanceMassRatio, settings: Any) -> bytes:
    """Return OK, WARN or ERROR by NMR over chance; without an NMR there is nothing to judge."""
    if math.isnan(headline.value) or math.isnan(headline.chance) or headline.chance <= 0:
        return OK
    ratio = headline.value / headline.chance
    if ratio >= settings.nmr_error_ratio:
        return ERROR
    return WARN if ratio >= settings.nmr_warn_ratio else OK
