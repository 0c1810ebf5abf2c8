# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics of results: NMR against chance."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from vla_iss_ros.iss.nmr import NuisanceMassRatio
from vla_iss_ros.messages.stamps import SECOND
from vla_iss_ros.ros.alarms import Alarm
from vla_iss_ros.ros.diagnostics import OK, WARN, Status
from vla_iss_ros.ros.outputs import Result, describe
from vla_iss_ros.ros.staleness import stale_after

# What the worker does with a frame, one after the other.
WORK = ("decode", "explain", "attributions", "compare actions")


def nmr_status(
    result: Result | None, seconds: Mapping[str, float], settings: Any, forgotten: Mapping[str, int]
) -> Status:
    """Return the status ``NMR``: the headline, its level, its age and all figures.

    ``forgotten``: how often the stream of frames began anew, by reason.
    """
    if result is None:
        return Status("NMR", WARN, "no frame has been explained yet")
    headline, explanation = result.headline, result.explanation
    age = time.monotonic() - result.frame.arrived
    level, message = result.level, describe(headline, explanation.samples)
    if math.isnan(headline.value) and level != OK:
        message = f"{message}; earlier frames' level stands until frames can be judged again"
    busy = sum(seconds.get(stage, 0.0) for stage in WORK)
    if age > stale_after(max(seconds.get("latency", 0.0), busy), busy, settings):
        # What it was about is over, so an old error is no more than a warning.
        level, message = WARN, f"stale, {age:.0f} s old: {message}"
    values: dict[str, Any] = {
        "age (s)": age,
        f"NMR@{headline.percent}": headline.value,
        "NMR low": headline.low,
        "NMR high": headline.high,
        "NMR reason": headline.reason,
        "chance": headline.chance,
        "NMR over chance": headline.value / headline.chance if headline.chance > 0 else math.nan,
        "floor": headline.floor,
        **{f"NMR camera {camera}": value for camera, value in headline.per_view.items()},
        **{f"NMR@{percent}": ratio.value for percent, ratio in explanation.ratios.items()},
        "samples N": explanation.samples,
        "synchronisation spread (s)": result.frame.spread,
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


def judge_nmr(headline: NuisanceMassRatio, alarm: Alarm, settings: Any) -> bytes:
    """Return the level of ``alarm`` after NMR over chance; a frame without an NMR leaves it as it is for a while."""
    ratio = headline.value / headline.chance if headline.chance > 0 else math.nan
    return alarm.update(
        ratio,
        settings.nmr_warn_ratio,
        settings.nmr_error_ratio,
        settings.alarm_hysteresis,
        settings.alarm_frames,
    )
