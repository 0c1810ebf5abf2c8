# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which words of the instruction the action depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_iss_ros.iss.cells import Cells
from vla_iss_ros.iss.estimators import Estimate


@dataclass(frozen=True)
class WordSaliency:
    """Saliency of one word of the instruction, in units of delta; ``standard_error`` NaN where it is unknown."""

    word: str
    contrast: float
    standard_error: float = math.nan


def words_of(cells: Cells, estimate: Estimate) -> tuple[WordSaliency, ...]:
    """Return the saliency of the words that are cells, in the order of the instruction."""
    contrasts = cells.of_words(estimate.contrast).tolist()
    errors = cells.of_words(estimate.standard_error).tolist()
    return tuple(WordSaliency(*each) for each in zip(cells.words, contrasts, errors, strict=True))
