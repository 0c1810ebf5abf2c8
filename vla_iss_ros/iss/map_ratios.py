# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""NMR of an estimate: from cells to maps, with the regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from vla_iss_ros.iss.cells import Cells
from vla_iss_ros.iss.estimators import Estimate
from vla_iss_ros.iss.nmr import MapDraws, NuisanceMassRatio, nuisance_mass_ratios, undefined
from vla_iss_ros.iss.region_map import RegionMap

NO_REGIONS = "no regions: label images tell which positions are nuisance"
DRAW_SIZE = 32  # side that views are brought to for the NMR of draws


def ratios_of(
    cells: Cells,
    estimate: Estimate,
    regions: RegionMap | None,
    percents: Sequence[int],
    settings: Any,
    stretch: float = 1.0,
) -> dict[int, NuisanceMassRatio]:
    """Return NMR@k of the contrast's maps for every k in ``percents``; NaN with a reason without regions.

    ``stretch`` widens what is known of the errors, for rules that look more than once.
    """
    if regions is None:
        return undefined(percents, NO_REGIONS)
    missing = [name for name in cells.names if name not in regions.views]
    if missing:
        return undefined(percents, f"no regions for camera '{missing[0]}'")
    size = (settings.nmr_size, settings.nmr_size)
    both = torch.stack([estimate.contrast, estimate.standard_error * stretch])
    maps, errors = cells.maps(both, size)
    nuisance = regions.nuisance(cells.names, size)
    draws = _draws(cells, estimate, settings, stretch)
    return nuisance_mass_ratios(maps, nuisance, cells.names, percents, errors, cells.count, draws)


def _draws(cells: Cells, estimate: Estimate, settings: Any, stretch: float) -> MapDraws | None:
    """Return the maps that the estimate's draws make, coarse: their NMR needs no more."""
    if estimate.draws is None:
        return None
    size = (min(DRAW_SIZE, settings.nmr_size),) * 2
    wide = estimate.contrast + stretch * (estimate.draws - estimate.contrast)
    maps = cells.maps(torch.cat([estimate.contrast[None], wide]), size)
    return MapDraws(maps[0], maps[1:])
