# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""All coalitions of the cells."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_iss_ros.iss import plans
from vla_iss_ros.iss.estimators.interface import CellEstimator, Estimate, check_block


class Exact(CellEstimator):
    """The estimand itself: every coalition with every baseline picture, weighted q^size (1 - q)^(C - size).

    ISS_c = sum of weight * delta over the coalitions that replace c / sum of their weights; contrast likewise (the
    expectation of arXiv 2605.00321 written out). The design and ``samples`` play no part, and a time budget does not
    cut it: a part of the coalitions is no result. At most ``plans.MOST_CELLS`` cells and ``plans.MOST_EVALUATIONS``
    evaluations.

    The standard error is 0 because nothing was drawn. It does not mean that other donors, another grid or another
    draw of the policy's own noise would give the same map.
    """

    plan: plans.Plan | None = plans.AllCoalitions()

    _seen: Tensor | None = None  # bool [2^C * D]

    def update(
        self, replaced: Tensor, delta: Tensor, pictures: Tensor | None = None, moves: Tensor | None = None
    ) -> None:
        """Add up a block and forget it.

        Raises ValueError on another shape, on too many cells, on values that are not finite, and when a coalition
        comes with a picture twice.
        """
        used = check_block(replaced, delta, pictures, self.pictures)
        z = replaced.to("cpu", torch.float64)
        cells = z.shape[1]
        if self._seen is None:
            plans.AllCoalitions().check(cells, self.pictures)
            self._seen = torch.zeros(2**cells * self.pictures, dtype=torch.bool)
            self._replaced, self._kept = torch.zeros(2, cells, dtype=torch.float64)
        place = (z @ 2.0 ** torch.arange(cells, dtype=torch.float64)).long() * self.pictures + used
        if bool(self._seen[place].any()) or len(place.unique()) < len(place):
            raise ValueError("exact takes every coalition with a baseline picture once, got one twice")
        self._seen[place] = True
        size = z.sum(1)
        weight = self.probability**size * (1 - self.probability) ** (cells - size)
        moved = weight * delta.to("cpu", torch.float64)
        self._replaced += moved @ z
        self._kept += moved @ (1 - z)

    def estimate(self) -> Estimate:
        """Return ISS, contrast and a standard error of 0; raises ValueError before the last coalition."""
        if self._seen is None:
            raise ValueError("no samples yet; call update first")
        done, length = int(self._seen.sum()), len(self._seen)
        if done < length:
            raise ValueError(f"exact has {done} of {length} evaluations; a part of them is no result")
        # The weights of all coalitions that replace a cell add up to q.
        iss = self._replaced / (self.probability * self.pictures)
        kept = self._kept / ((1 - self.probability) * self.pictures)
        return Estimate(iss, iss - kept, torch.zeros_like(iss), length)
