"""The geometry of cells as JSON, so that stored cell values can be made maps again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vla_iss_ros.iss.cells import CellGrid, View

# By the name of the class: it, and that of its views.
KINDS: Mapping[str, tuple[Any, Any]] = {"CellGrid": (CellGrid, View)}


def picture_cells(cells: Any) -> Any:
    """Return ``cells`` without the words of an instruction, which come last and differ between frames."""
    return cells


def cells_to_json(cells: Any) -> dict[str, Any]:
    """Return the geometry of ``cells``; raises ValueError for a class that is not known here."""
    kind = type(cells).__name__
    if kind not in KINDS:
        raise ValueError(f"cells must be of {', '.join(KINDS)} to be stored, got {kind}")
    return {"kind": kind, **asdict(cells)}


def cells_from_json(described: Mapping[str, Any]) -> Any:
    """Return what ``cells_to_json`` described; raises ValueError for another kind."""
    values = dict(described)
    kind = values.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"stored cells must be of {', '.join(KINDS)}, got {kind}")
    cells, view = KINDS[kind]
    views = tuple(view(**{name: _tuples(each) for name, each in one.items()}) for one in values.pop("views"))
    return cells(views=views, **{name: _tuples(value) for name, value in values.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
