# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Means of a table's columns by key, read row by row: memory holds the keys, not the rows."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Key = tuple[str, ...]


@dataclass
class KeyedMeans:
    """What one or several tables hold of each key.

    ``means``: columns to key to mean of its defined values, NaN where none is. ``others``: columns to key to its one
    value, which is None where a key's rows differ. ``undefined``: rows in which no column is defined.
    """

    columns: tuple[str, ...]
    sums: dict[Key, list[float]] = field(default_factory=dict)
    counts: dict[Key, list[int]] = field(default_factory=dict)
    others: dict[str, dict[Key, str | None]] = field(default_factory=dict)
    undefined: int = 0

    def add(self, key: Key, values: Sequence[float], others: Mapping[str, str]) -> None:
        """Take in a row; values that are not finite are left out."""
        sums = self.sums.setdefault(key, [0.0] * len(self.columns))
        counts = self.counts.setdefault(key, [0] * len(self.columns))
        defined = [place for place, value in enumerate(values) if math.isfinite(value)]
        for place in defined:
            sums[place] += values[place]
            counts[place] += 1
        self.undefined += not defined
        for name, value in others.items():
            known = self.others.setdefault(name, {})
            if known.setdefault(key, value) != value:
                known[key] = None

    def mean(self, column: str, key: Key) -> float:
        """Return the mean of a key's defined values."""
        place = self.columns.index(column)
        count = self.counts[key][place]
        return self.sums[key][place] / count if count else math.nan


def header_of(path: Path) -> tuple[str, ...]:
    """Return the names of a table's columns; raises ValueError in one line for a file that is no table."""
    if path.suffix == ".parquet":
        with _parquet(path) as table:
            return tuple(table.schema_arrow.names)
    return next((_stripped(cells) for _, cells in _lines(path)), ())


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each row's line and its cells of ``columns``, without white space around them.

    Raises ValueError in one line for a file that is no table.
    """
    if path.suffix == ".parquet":
        yield from _parquet_rows(path, columns)
        return
    lines = _lines(path)
    header = next((_stripped(cells) for _, cells in lines), ())
    places = [header.index(name) for name in columns]
    for number, cells in lines:
        yield number, [cells[place].strip() if place < len(cells) else "" for place in places]


def number_in(path: Path, line: int, column: str, text: str) -> float:
    """Return the number in a cell, NaN for an empty one; raises ValueError, naming the line."""
    try:
        return float(text) if text else math.nan
    except ValueError as error:
        raise ValueError(f"'{path}', line {line}: {column} must be a number, got '{text[:40]}'") from error


def _stripped(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in cells)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not empty."""
    try:
        # Spreadsheets put a byte order mark in front, which would become part of the first column's name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"cannot read '{path}': {error}") from error


def _parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    with _parquet(path) as table:
        number = 1
        for batch in table.iter_batches(columns=list(columns)):
            for cells in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
                number += 1
                yield number, ["" if cell is None else str(cell).strip() for cell in cells]


def _parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ValueError(
            f"'{path}' needs pyarrow (pip install 'vla_iss_ros[bags]'); or give its CSV"
        ) from error
    try:
        return parquet.ParquetFile(path)
    except Exception as error:  # pyarrow's own, of several kinds
        detail = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"cannot read '{path}': {detail}") from error
