# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checks of a policy's tokens: the same answer as pixels give, and patches where the camera saw them."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_iss_ros.analysis.policy_geometry import PLACES, flat_scene, square_of, with_square
from vla_iss_ros.analysis.policy_subject import FAIL, PASS, SKIP, Check, Subject, largest
from vla_iss_ros.iss.token_cells import TokenCells
from vla_iss_ros.iss.tokens import CAMERA, Encoded, Segment
from vla_iss_ros.policies.protocol import TokenPolicy

NO_TOKENS = "the policy offers no tokens; space pixel alone explains it"
# Of a token's side: a square between two tokens may show most in either.
LARGEST_OFFSET = 1.0
ROWS = 3


def check_tokens(subject: Subject) -> Check:
    """Do the tokens as they are give the answer that the pixels give, alone and in a batch?"""
    policy = subject.policy
    if not isinstance(policy, TokenPolicy):
        return Check("tokens", SKIP, NO_TOKENS)
    encoded = policy.encode(subject.base)
    rows = policy.run_tokens(encoded, encoded.tokens.expand(ROWS, -1, -1), subject.noise).normalised
    return subject.compared(
        "tokens",
        largest(rows.float().cpu() - subject.answer(subject.base)),
        "run_tokens must add what encode left out (positions, state, padding) and share the noise",
    )


def check_token_alignment(subject: Subject) -> Check:
    """Does a square painted into a camera's image change the patch that the segment puts there most?"""
    policy = subject.policy
    if not isinstance(policy, TokenPolicy):
        return Check("token alignment", SKIP, NO_TOKENS)
    flat = flat_scene(subject.observations[0])
    before = policy.encode(policy.preprocess(flat))
    worst = 0.0
    segments = [segment for segment in before.segments if segment.kind == CAMERA]
    for segment in segments:
        for place in PLACES:
            after = policy.encode(policy.preprocess(with_square(flat, segment.name, place)))
            worst = max(worst, _offset(before, after, segment, flat.images[segment.name].shape[:2], place))
    figure = (
        f"squares at {len(PLACES)} places in {len(segments)} cameras are off by at most {worst:.1f} tokens"
    )
    remedy = "give grid and content of each camera's segment as the vision tower lays its patches, row by row"
    good = worst <= LARGEST_OFFSET
    return Check("token alignment", PASS if good else FAIL, figure, "" if good else remedy, {"offset": worst})


def _offset(
    before: Encoded, after: Encoded, segment: Segment, size: tuple[int, ...], place: tuple[float, float]
) -> float:
    """Return how far the patch that changed most lies from the square, in tokens along the worse axis."""
    change = (after.tokens - before.tokens)[0].float().norm(dim=1)
    view = next(view for view in TokenCells.over(before, 1).views if view.name == segment.name)
    owners, _ = view.owners()
    inside: Tensor = change[owners.to(change.device)].cpu()
    if not bool(inside.max() > 0):
        return float("inf")
    row, column = divmod(int(inside.argmax()), view.last[1] - view.first[1])
    found = torch.tensor([view.first[0] + row + 0.5, view.first[1] + column + 0.5])
    top, left, bottom, right = square_of(size, place)
    down, across, height, width = view.content
    low = torch.tensor([down + top / size[0] * height, across + left / size[1] * width])
    high = torch.tensor([down + bottom / size[0] * height, across + right / size[1] * width])
    # Within the square is right, whichever of its patches it is.
    return float(torch.maximum(low - found, found - high).clamp_min(0).max())
