# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checks of a policy's answers: what interventions are compared by must be the policy's doing, not the run's."""

from __future__ import annotations

import torch

from vla_iss_ros.analysis.policy_subject import FAIL, PASS, SKIP, Check, Subject, largest

BATCHES = (1, 2, 3, 33)
COPIES = 8


def check_finite(subject: Subject) -> Check:
    """Are the answers to all observations finite, and of the shape that the specification says?"""
    spec = subject.policy.spec
    wanted = (1, spec.horizon, len(spec.action_names))
    bad = 0
    for prepared in subject.prepared:
        actions = subject.act(prepared)
        if tuple(actions.normalised.shape) != wanted:
            figure = f"answers {list(actions.normalised.shape)}, its specification says {list(wanted)}"
            return Check("finite actions", FAIL, figure, "correct horizon or action_names")
        both = torch.stack([actions.normalised, actions.physical])
        bad += int((~torch.isfinite(both)).sum())
    count = len(subject.prepared)
    if bad:
        figure = f"{bad} numbers in the answers to {count} observations are not finite"
        remedy = "check the weights, the precision and the preprocessing"
        return Check("finite actions", FAIL, figure, remedy, {"bad": bad})
    return Check("finite actions", PASS, f"all answers to {count} observations are finite", "", {"bad": 0})


def check_determinism(subject: Subject) -> Check:
    """Do two runs of one batch with one noise agree?"""
    first, second = (subject.answer(subject.base, subject.variants(COPIES)) for _ in range(2))
    return subject.compared(
        "determinism",
        largest(first - second),
        "give the policy all of its noise through sample_noise; turn dropout off (eval)",
    )


def check_row_zero(subject: Subject) -> Check:
    """Is the answer to the observation alone that of row 0 of a batch?"""
    alone = subject.answer(subject.base)
    batch = subject.answer(subject.base, subject.variants(COPIES))
    return subject.compared(
        "row 0 identity",
        largest(batch[:1] - alone),
        "rows must not see each other, and an image given must be taken as base holds it",
    )


def check_identical_rows(subject: Subject) -> Check:
    """Do identical rows have one answer?"""
    rows = {name: image.expand(COPIES, -1, -1, -1) for name, image in subject.base.images.items()}
    answers = subject.answer(subject.base, rows)
    return subject.compared(
        "identical rows",
        largest(answers - answers[:1]),
        "give all rows one noise: expand noise [1, ...] to the batch instead of drawing for each row",
    )


def check_batches(subject: Subject) -> Check:
    """Does a row's answer depend on how many rows are run with it? The difference is the noise floor of a map."""
    answers = [subject.answer(subject.base, subject.variants(count)) for count in BATCHES]
    return subject.compared(
        "batch invariance",
        largest(*(answer - answers[-1][: len(answer)] for answer in answers)),
        "rows must not share statistics (batch norm in train mode) or padding that depends on the batch",
    )


def check_absent_cameras(subject: Subject) -> Check:
    """Is a camera that is not given taken as in the observation?"""
    rows = subject.variants(COPIES)
    if len(rows) < 2:
        return Check("absent cameras", SKIP, "the policy has one camera")
    name = next(iter(rows))
    one = subject.answer(subject.base, {name: rows[name]})
    same = {other: image.expand(COPIES, -1, -1, -1) for other, image in subject.base.images.items()}
    all_given = subject.answer(subject.base, {**same, name: rows[name]})
    return subject.compared(
        "absent cameras", largest(one - all_given), "take cameras that are not in images from base.images"
    )


def check_noise(subject: Subject) -> Check:
    """Is the noise that is handed over the noise that is used?"""
    name, spec = "shared noise", subject.policy.spec
    if not spec.shares_noise:
        figure = "the policy cannot be given its noise"
        return Check(name, SKIP, figure, "maps carry the spread of its noise; average over many frames")
    if subject.noise is None:
        if spec.noise_shape is not None:
            figure = f"noise_shape is {list(spec.noise_shape)} and sample_noise draws none"
            return Check(name, FAIL, figure, "return noise [1, *noise_shape] from sample_noise")
        return Check(name, SKIP, "the policy is deterministic")
    again, another = subject.draw_noise(0), subject.draw_noise(1)
    assert again is not None
    assert another is not None
    wanted = (1, *(spec.noise_shape or ()))
    if tuple(again.shape) != wanted:
        figure = f"sample_noise draws {list(again.shape)}, noise_shape promises {list(wanted)}"
        return Check(name, FAIL, figure, "correct noise_shape")
    reference = subject.answer(subject.base)
    same = largest(subject.answer(subject.base, noise=again) - reference)
    other = largest(subject.answer(subject.base, noise=another) - reference)
    figure = f"same noise {same:.1e}, another noise {other:.1e} (tolerance {subject.tolerance:.0e})"
    values = {"same": same, "other": other}
    if not same <= subject.tolerance:
        return Check(name, FAIL, figure, "draw noise from the generator alone, and from nothing else", values)
    if not other > subject.tolerance:
        return Check(name, FAIL, figure, "use the noise that run_pixels is given", values)
    return Check(name, PASS, figure, "", values)
