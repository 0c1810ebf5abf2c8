# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checks of what a policy heeds, and of what running it costs."""

from __future__ import annotations

import math
import statistics

import torch

from vla_iss_ros.analysis.policy_subject import FAIL, PASS, Check, Subject
from vla_iss_ros.iss.divergences import REGISTRY
from vla_iss_ros.iss.effects import Effect, Replacements, mean_state_tensor, measure_effects

BATCH = 64
REPEATS = 3
# A row of a large batch should cost less than one alone; twice as much is not the clock's noise any more.
WORST_RATIO = 2.0


def check_sensitivity(subject: Subject) -> Check:
    """Does replacing cameras, instruction or state move the action at all?"""
    effects = _effects(subject)
    total = max((effect.delta for effect in effects if not math.isnan(effect.delta)), default=math.nan)
    # Divergences are squares.
    good = total > subject.tolerance**2
    figure = ", ".join(_said(effect) for effect in effects)
    remedy = "nothing moves the action: is this the trained checkpoint, and are these its camera names?"
    values = {effect.name: effect.delta for effect in effects}
    return Check("sensitivity", PASS if good else FAIL, figure, "" if good else remedy, values)


def check_time(subject: Subject) -> Check:
    """How long does a forward take alone and in a batch, and is a batch worth it?"""
    single, batch = _seconds(subject, 1), _seconds(subject, BATCH)
    rate = BATCH / batch if batch > 0 else math.inf
    figure = f"batch 1 {single * 1e3:.1f} ms, batch {BATCH} {batch * 1e3:.1f} ms, {rate:.0f} rows/s"
    values = {"single": single, "batch": batch, "rows_per_second": rate}
    if batch > WORST_RATIO * BATCH * single:
        remedy = "a row costs more in a batch than alone; lower batch_size, or look for a loop or swapping"
        return Check("time", FAIL, figure, remedy, values)
    return Check("time", PASS, figure, "", values)


def _effects(subject: Subject) -> tuple[Effect, ...]:
    others = [subject.policy.preprocess(subject.others())]
    if len(subject.prepared) > 1:
        others = subject.prepared[1:]
    pictures = {name: torch.cat([other.images[name] for other in others]) for name in subject.base.images}
    instructions = [observation.instruction for observation in subject.observations]
    state = mean_state_tensor(subject.policy.spec.state_mean)
    return measure_effects(
        subject.observations[0],
        subject.base,
        subject.act(subject.base).take(slice(None)),
        Replacements(pictures, [text for text in instructions if text], state),
        subject.policy.preprocess,
        lambda prepared, images: [subject.act(prepared, images)],
        REGISTRY["action_mse"],
    )


def _said(effect: Effect) -> str:
    if math.isnan(effect.delta):
        return f"{effect.name} unknown"
    if effect.kind == "everything" or math.isnan(effect.share):
        return f"{effect.name} {effect.delta:.2g}"
    return f"{effect.name} {effect.delta:.2g} ({effect.share:.1%})"


def _seconds(subject: Subject, count: int) -> float:
    """Return the median time of a forward of ``count`` rows until its answer is on the host; one goes before."""
    rows = subject.variants(count)
    subject.answer(subject.base, rows)
    times = []
    for _ in range(REPEATS):
        started = subject.clock()
        subject.answer(subject.base, rows)
        times.append(subject.clock() - started)
    return statistics.median(times)
