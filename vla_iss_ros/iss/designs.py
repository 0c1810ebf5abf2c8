# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which cells each intervention replaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor


class Design(Protocol):
    """Draws blocks of interventions.

    ``independent`` tells whether the rows of a block are independent of each other; if not, standard errors must
    come from replicates over blocks.
    """

    independent: bool

    def draw(self, count: int, cells: int, probability: float, generator: torch.Generator) -> Tensor:
        """Return bool [count, cells], True where a cell is replaced, each with ``probability``."""


class Bernoulli:
    """Independent coin flips: RISE's design (Petsiuk et al., 2018) and the paper's (arXiv 2605.00321)."""

    independent = True

    def draw(self, count: int, cells: int, probability: float, generator: torch.Generator) -> Tensor:
        """Return bool [count, cells], every entry an independent draw."""
        return torch.rand(count, cells, generator=generator) < probability


class Balanced:
    """Replace every cell equally often within a block, cells independent of each other.

    Latin hypercube sampling (McKay, Beckman and Conover, 1979) cut at the probability: the count of a cell is
    ``count * probability``, or one of the two whole numbers beside it, with the exact probability on average.
    """

    independent = False

    def draw(self, count: int, cells: int, probability: float, generator: torch.Generator) -> Tensor:
        """Return bool [count, cells], columns balanced."""
        strata = torch.rand(count, cells, generator=generator).argsort(dim=0)
        offsets = torch.rand(1, cells, generator=generator)
        return (strata + offsets) / count < probability


class Sobol:
    """Scrambled Sobol points (Owen's scrambling) cut at the probability: even in every cell and in most pairs of cells.

    Each block is a sequence of its own; blocks of a power of two are the most even.
    """

    independent = False
    MOST_CELLS = 21201

    def draw(self, count: int, cells: int, probability: float, generator: torch.Generator) -> Tensor:
        """Return bool [count, cells]; raises ValueError beyond the dimensions that Sobol points are tabled for."""
        if cells > self.MOST_CELLS:
            raise ValueError(f"design sobol takes at most {self.MOST_CELLS} cells, got {cells}; use balanced")
        seed = int(torch.randint(2**31 - 1, (1,), generator=generator))
        engine = torch.quasirandom.SobolEngine(cells, scramble=True, seed=seed)
        return engine.draw(count, dtype=torch.float64) < probability


REGISTRY: Mapping[str, type[Design]] = {"bernoulli": Bernoulli, "balanced": Balanced, "sobol": Sobol}
