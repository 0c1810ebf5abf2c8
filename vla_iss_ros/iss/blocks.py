# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The interventions of a frame, block by block: drawn by a design, or cut from a complete list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss.designs import Design
from vla_iss_ros.iss.interventions import choose_pictures
from vla_iss_ros.iss.plans import Enumeration, Plan


@dataclass(frozen=True)
class Block:
    """Interventions that are run together.

    ``replaced`` bool [n, C]; ``chosen`` int64 [n], the baseline picture of each. ``may_stop``: more would follow, and
    what has been run up to here makes an estimate.
    """

    replaced: Tensor
    chosen: Tensor
    may_stop: bool


def make_blocks(
    plan: Plan | None, design: Design, settings: Any, cells: int, pictures: int, generator: torch.Generator
) -> Iterator[Block]:
    """Yield the blocks of ``plan``, or of ``design`` where an estimator needs no plan, made one at a time.

    ``settings`` has ``samples``, ``block_size`` and ``keep_probability``. Raises ValueError when the cells or the
    pictures are too many for either.
    """
    if plan is not None:
        enumeration = plan.enumerate(cells, pictures, settings.samples, generator)
        yield from _enumerated(enumeration, settings.block_size)
        return
    done = 0
    while done < settings.samples:
        count = settings.block_size
        if settings.samples - done < 1.5 * count:
            # A short last block could replace or keep a cell in all of its samples and say nothing of it.
            count = settings.samples - done
        done += count
        replaced = design.draw(count, cells, 1 - settings.keep_probability, generator)
        chosen = choose_pictures(count, pictures, generator)
        yield Block(replaced, chosen, may_stop=done < settings.samples)


def _enumerated(enumeration: Enumeration, most: int) -> Iterator[Block]:
    """Cut every round into equal blocks of at most ``most``; the end of a round is the end of a block."""
    parts = -(-enumeration.round_length // most)
    for first in range(0, enumeration.length, enumeration.round_length):
        for part in range(parts):
            start = first + enumeration.round_length * part // parts
            stop = first + enumeration.round_length * (part + 1) // parts
            replaced, chosen = enumeration.rows(torch.arange(start, stop))
            yield Block(replaced, chosen, part + 1 == parts and stop < enumeration.length)
