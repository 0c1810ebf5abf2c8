# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every cell replaced alone."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_iss_ros.iss import plans
from vla_iss_ros.iss.estimators.interface import CellEstimator, Estimate, check_block


class LeaveOneOut(CellEstimator):
    """ISS_c = delta when cell c alone is replaced, averaged over baseline pictures.

    The paper's token-level definition (arXiv 2605.00321), another estimand than that of the random coalitions: all
    other cells are kept, so ``probability`` and the design play no part, and delta with nothing replaced is 0, so ISS
    and contrast are one. The standard error comes from the spread over the pictures that a cell met, with the
    finite-population correction (Cochran, Sampling Techniques, 1977, section 2.6): 0 once it met all, NaN after one
    of several.

    Misses redundancy: of two cells that can stand in for each other both get 0, although the action depends on them.
    Misses in the same way what only appears when several cells are replaced together.
    """

    plan: plans.Plan | None = plans.SingleCells()

    _table: Tensor | None = None  # float64 [D, C], NaN where a cell has not met a picture

    def update(
        self, replaced: Tensor, delta: Tensor, pictures: Tensor | None = None, moves: Tensor | None = None
    ) -> None:
        """Take in a block that replaces one cell a sample.

        Raises ValueError on another shape, on values that are not finite, on samples that replace none or several
        cells, and when a cell meets a picture twice.
        """
        used = check_block(replaced, delta, pictures, self.pictures)
        bits = replaced.to("cpu", torch.bool)
        if not bool((bits.sum(1) == 1).all()):
            raise ValueError("leave_one_out takes samples that replace one cell each")
        cell = bits.nonzero()[:, 1]
        if self._table is None:
            self._table = torch.full((self.pictures, bits.shape[1]), torch.nan, dtype=torch.float64)
        place = used * bits.shape[1] + cell
        if bool(self._table[used, cell].isfinite().any()) or len(place.unique()) < len(place):
            raise ValueError("leave_one_out takes every cell with a baseline picture once, got one twice")
        self._table[used, cell] = delta.to("cpu", torch.float64)

    def estimate(self) -> Estimate:
        """Return ISS, contrast (the same) and standard error; NaN at cells that were not replaced yet."""
        if self._table is None:
            raise ValueError("no samples yet; call update first")
        known = self._table.isfinite()
        count = known.sum(0)
        mean = self._table.nansum(0) / count
        squares = torch.where(known, self._table - mean, 0).square().sum(0)
        variance = squares / (count - 1) / count * (1 - count / self.pictures)
        error = torch.where(count == self.pictures, 0, variance.sqrt())
        return Estimate(mean, mean.clone(), error, int(count.sum()))
