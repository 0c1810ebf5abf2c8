# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where cells lie, as text that outlives the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vla_iss_ros.iss.cells import CellGrid, Cells, View
from vla_iss_ros.iss.token_cells import TokenCells, TokenView

PIXEL, TOKEN = "pixel", "token"


def describe_cells(cells: Cells) -> dict[str, Any]:
    """Return plain types that survive a JSON round trip; raises TypeError for cells of another kind."""
    if isinstance(cells, CellGrid):
        return {"kind": PIXEL, **asdict(cells)}
    if isinstance(cells, TokenCells):
        return {"kind": TOKEN, **asdict(cells)}
    raise TypeError(f"cells must be CellGrid or TokenCells, got {type(cells).__name__}")


def cells_of(description: Mapping[str, Any]) -> Cells:
    """Rebuild from :func:`describe_cells`; raises ValueError for another kind."""
    rest = {key: value for key, value in description.items() if key not in ("kind", "views")}
    views = [{key: _fixed(value) for key, value in view.items()} for view in description["views"]]
    kind = description.get("kind", PIXEL)
    if kind == PIXEL:
        return CellGrid(tuple(View(**view) for view in views), **rest)
    if kind == TOKEN:
        fixed = {key: _fixed(value) for key, value in rest.items()}
        return TokenCells(tuple(TokenView(**view) for view in views), **fixed)
    raise ValueError(f"cells must be of kind {PIXEL} or {TOKEN}, got {kind!r}")


def _fixed(value: Any) -> Any:
    return tuple(_fixed(item) for item in value) if isinstance(value, list) else value
