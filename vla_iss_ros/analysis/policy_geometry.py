# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checks that what a map shows lies where the camera saw it."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from vla_iss_ros.analysis.policy_subject import FAIL, PASS, Check, Subject, largest
from vla_iss_ros.iss.canvas import Canvas
from vla_iss_ros.iss.cells import CellGrid, View
from vla_iss_ros.iss.observation import Observation, Prepared

SIDE = 7
# Top left corners of the squares, as shares of the image's height and width: no two alike when mirrored or turned.
PLACES = ((0.10, 0.20), (0.30, 0.75), (0.45, 0.45), (0.65, 0.10), (0.80, 0.60))
SQUARE = 10  # of these fit along a side
GREY, WHITE = 128, 255
# The half of the edge pixels that area and bilinear rules mix; further away, a resize has moved the picture.
LARGEST_OFFSET = 1.0
LARGEST_STRAY = 0.01


def check_polarity(subject: Subject) -> Check:
    """Does replacing no cell change nothing, and replacing all of them show the other picture?"""
    seen = subject.others()
    other = subject.policy.preprocess(seen)
    cells = CellGrid.over(subject.base, SIDE)
    canvas = Canvas(subject.base.images, other.images, cells, quantise=False)
    device = subject.policy.device
    none, every = (torch.full((1, cells.count), value, device=device) for value in (False, True))
    picture = torch.zeros(1, dtype=torch.int64, device=device)
    kept = subject.answer(subject.base, canvas.paint(none, picture)) - subject.answer(subject.base)
    replaced = subject.answer(subject.base, canvas.paint(every, picture)) - subject.answer(other)
    return subject.compared(
        "polarity",
        largest(kept, replaced),
        "run_pixels must take the images that it is given, of the same size and range as preprocess makes",
    )


def check_alignment(subject: Subject) -> Check:
    """Does a square painted into a camera's image appear in the policy's where the cells say, and nowhere else?"""
    flat = flat_scene(subject.observations[0])
    before = subject.policy.preprocess(flat)
    offset, stray = 0.0, 0.0
    for view in CellGrid.over(before, SIDE).views:
        for place in PLACES:
            after = subject.policy.preprocess(with_square(flat, view.name, place))
            leaks = [
                name for name in before.images if name != view.name and _moved(before, after, name).any()
            ]
            if leaks:
                figure = f"a square before camera '{view.name}' appears in '{leaks[0]}'"
                return Check("alignment", FAIL, figure, "keep the cameras apart in preprocess")
            change = _moved(before, after, view.name)
            if not change.any():
                figure = f"a square before camera '{view.name}' at {place} does not appear"
                return Check(
                    "alignment", FAIL, figure, "preprocess must show the whole of the camera's image"
                )
            box = _expected(view, flat.images[view.name].shape[:2], place)
            offset = max(offset, _offset(change, box))
            stray = max(stray, _stray(change, box))
    good = offset <= LARGEST_OFFSET and stray <= LARGEST_STRAY
    figure = (
        f"squares at {len(PLACES)} places in {len(before.images)} cameras are off by at most {offset:.1f} px, "
        f"{stray:.1%} of the change lies elsewhere"
    )
    remedy = "tell in Prepared.content where the camera's whole image lies; do not crop, flip or swap axes"
    values = {"offset": offset, "stray": stray}
    return Check("alignment", PASS if good else FAIL, figure, "" if good else remedy, values)


def flat_scene(observation: Observation) -> Observation:
    """Return the observation with grey images."""
    images = {name: np.full_like(image, GREY) for name, image in observation.images.items()}
    return dataclasses.replace(observation, images=images)


def square_of(size: tuple[int, ...], place: tuple[float, float]) -> tuple[int, int, int, int]:
    """Return the square's top, left, bottom and right in pixels of the camera."""
    (height, width), (down, across) = size[:2], place
    top, left = int(down * height), int(across * width)
    return top, left, top + max(1, height // SQUARE), left + max(1, width // SQUARE)


def with_square(flat: Observation, camera: str, place: tuple[float, float]) -> Observation:
    """Return a grey scene with a white square before one camera."""
    image = flat.images[camera].copy()
    top, left, bottom, right = square_of(image.shape, place)
    image[top:bottom, left:right] = WHITE
    return dataclasses.replace(flat, images={**flat.images, camera: image})


def _moved(before: Prepared, after: Prepared, name: str) -> Tensor:
    """Return how much each pixel of a camera's input changed, float32 [h, w]."""
    return (after.images[name] - before.images[name]).abs().sum((0, 1)).float().cpu()


def _expected(
    view: View, size: tuple[int, ...], place: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Return where the square belongs in the policy's image: top, left, bottom and right, in its pixels."""
    top, left, bottom, right = square_of(size, place)
    up, aside, height, width = view.content
    tall, wide = height / size[0], width / size[1]
    return up + top * tall, aside + left * wide, up + bottom * tall, aside + right * wide


def _offset(change: Tensor, box: tuple[float, float, float, float]) -> float:
    """Return how far the middle of what changed lies from the box's, in pixels along the worse axis."""
    mask = change > change.max() / 2
    offsets = []
    for axis, (low, high) in enumerate(((box[0], box[2]), (box[1], box[3]))):
        found = mask.any(1 - axis).nonzero()
        middle = (float(found.min()) + float(found.max()) + 1) / 2
        offsets.append(abs(middle - (low + high) / 2))
    return max(offsets)


def _stray(change: Tensor, box: tuple[float, float, float, float]) -> float:
    """Return the share of the change that lies more than two pixels outside of the box."""
    top, left = (max(0, int(value) - 2) for value in box[:2])
    bottom, right = (int(value) + 3 for value in box[2:])
    inside = float(change[top:bottom, left:right].sum())
    return 1 - inside / float(change.sum())
