# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Complete lists of interventions, for estimators that enumerate instead of sampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vla_iss_ros.iss.interventions import choose_pictures

MOST_EVALUATIONS = 100_000  # the most that the setting samples allows
MOST_CELLS = 16


@dataclass(frozen=True)
class Enumeration:
    """``length`` interventions in a fixed order, made on demand.

    Every ``round_length`` of them, and nothing in between, leave a result if the work ends there. ``rows`` takes
    int64 [n], places in the order, and returns bool [n, C], the cells that are replaced, and int64 [n], the baseline
    picture that each shows.
    """

    length: int
    round_length: int
    rows: Callable[[Tensor], tuple[Tensor, Tensor]]


class Plan(Protocol):
    """Lists every intervention that an estimator needs."""

    def check(self, cells: int, pictures: int) -> None:
        """Raise ValueError, in one line, when that many cells and baseline pictures are too many."""

    def enumerate(self, cells: int, pictures: int, samples: int, generator: torch.Generator) -> Enumeration:
        """Return the list for about ``samples`` evaluations; raises as ``check`` does."""


class SingleCells:
    """Replace every cell alone, once a round; over D rounds every cell meets each of D baseline pictures once.

    ``samples`` // C rounds, at least one and at most D. Each round is a row of a Latin square: all pictures equally
    often, so that no single donor colours a short run. The pictures that a cell has met after any number of rounds
    are a simple random sample of them without replacement.
    """

    def check(self, cells: int, pictures: int) -> None:
        """Accept any number."""

    def enumerate(self, cells: int, pictures: int, samples: int, generator: torch.Generator) -> Enumeration:
        """Return the rounds; the seed decides which cell meets which picture first."""
        rounds = min(max(samples // cells, 1), pictures)
        order = torch.randperm(pictures, generator=generator)
        shift = choose_pictures(cells, pictures, generator)

        def rows(places: Tensor) -> tuple[Tensor, Tensor]:
            cell, turn = places % cells, places // cells
            return cell[:, None] == torch.arange(cells), order[(shift[cell] + turn) % pictures]

        return Enumeration(rounds * cells, cells, rows)


class AllCoalitions:
    """Every subset of the cells, with every baseline picture; one round, whatever ``samples`` says."""

    def check(self, cells: int, pictures: int) -> None:
        """Raise ValueError beyond ``MOST_CELLS`` cells or ``MOST_EVALUATIONS`` evaluations."""
        if cells > MOST_CELLS:
            raise ValueError(
                f"exact enumerates 2^C coalitions and takes at most {MOST_CELLS} cells, got {cells}; "
                "set grid to 2 or use another estimator"
            )
        length = 2**cells * pictures
        if length > MOST_EVALUATIONS:
            raise ValueError(
                f"exact runs {2**cells} coalitions with each of {pictures} baseline pictures and takes at most "
                f"{MOST_EVALUATIONS} evaluations, got {length}; lower grid, use fewer donors or another estimator"
            )

    def enumerate(self, cells: int, pictures: int, samples: int, generator: torch.Generator) -> Enumeration:
        """Return all coalitions in the order of their binary numbers; draws nothing at random."""
        self.check(cells, pictures)

        def rows(places: Tensor) -> tuple[Tensor, Tensor]:
            coalition = places // pictures
            return (coalition[:, None] >> torch.arange(cells)) % 2 == 1, places % pictures

        length = 2**cells * pictures
        return Enumeration(length, length, rows)
