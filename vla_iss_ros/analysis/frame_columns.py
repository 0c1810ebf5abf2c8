# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A stored table of frames, not all of it in memory: rows when they are asked for, and the columns that means need."""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from vla_iss_ros.analysis.frame_table import ROW_GROUP, FrameRow, iterate_table, opened_table

TEXTS = ("source", "episode", "instruction", "reason")


class StoredRows(Sequence[FrameRow]):
    """The rows of a Parquet table in its order, read when they are asked for; memory holds one group of rows."""

    def __init__(self, path: Path) -> None:
        """Look at the table; raises ValueError for a file that is no table of frames."""
        self._path = path
        with opened_table(path) as table:
            self.names = tuple(table.schema_arrow.names)
            groups = range(table.metadata.num_row_groups)
            self._firsts = [
                0,
                *itertools.accumulate(table.metadata.row_group(each).num_rows for each in groups),
            ]
        self.pattern = FrameRow.of_flat(dict.fromkeys(self.names))
        self._group: tuple[int, list[FrameRow]] = (-1, [])

    def __len__(self) -> int:
        return self._firsts[-1]

    def __iter__(self) -> Iterator[FrameRow]:
        return iterate_table(self._path)

    @overload
    def __getitem__(self, place: int) -> FrameRow: ...
    @overload
    def __getitem__(self, place: slice) -> list[FrameRow]: ...
    def __getitem__(self, place: int | slice) -> FrameRow | list[FrameRow]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        found = range(len(self))[place]
        group = bisect.bisect_right(self._firsts, found) - 1
        if group != self._group[0]:
            with opened_table(self._path) as table:
                rows = list(map(FrameRow.of_flat, table.read_row_group(group).to_pylist()))
            self._group = (group, rows)
        return self._group[1][found - self._firsts[group]]

    def batches(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield some columns in parts: a list for texts, an array for numbers."""
        with opened_table(self._path) as table:
            for batch in table.iter_batches(ROW_GROUP, columns=list(names)):
                yield {
                    name: column.to_pylist() if name in TEXTS else column.to_numpy(zero_copy_only=False)
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                }


@dataclass(frozen=True)
class EffectColumns:
    """Effect of a modality in every frame, float64 [n]: ``delta`` in units of delta and ``share``; NaN: not measured.

    ``reason``: the first explained frame's that has one.
    """

    delta: np.ndarray
    share: np.ndarray
    reason: str = ""


@dataclass(frozen=True)
class FrameColumns:
    """What means and figures need of n frames, about 100 bytes a frame and 16 more an effect.

    ``source``, ``episode``: int32 [n], places in ``sources`` (names) and ``episodes`` ((source, episode) names);
    ``instructions``: the first of each episode. ``stamp`` int64 [n] ns, ``seconds`` float64 [n], ``explained`` bool
    [n]. ``value``, ``low``, ``high``, ``chance``: NMR@k with its interval and chance, float64 [n]. ``spent``: seconds
    within the policy, float64 [n]. ``effects``: by name. ``reasons``: why NMR is undefined, counted.
    """

    source: np.ndarray
    episode: np.ndarray
    stamp: np.ndarray
    seconds: np.ndarray
    explained: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    spent: np.ndarray
    sources: tuple[str, ...] = ()
    episodes: tuple[tuple[str, str], ...] = ()
    instructions: tuple[str, ...] = ()
    effects: Mapping[str, EffectColumns] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, rows: Sequence[FrameRow], percent: int, *, effects: bool = True) -> FrameColumns:
        """Return the columns of ``rows`` with NMR@``percent``; those of a stored table are read alone, in parts."""
        pattern = rows.pattern if isinstance(rows, StoredRows) else next(iter(rows), None)
        modalities = list(pattern.effects) if effects and pattern is not None else []
        reader = _Reader(percent, modalities)
        if isinstance(rows, StoredRows):
            for batch in rows.batches([name for name in reader.names if name in rows.names]):
                reader.take(batch)
        else:
            for start in range(0, len(rows), ROW_GROUP):
                reader.take(_of_rows(rows[start : start + ROW_GROUP], reader.names))
        return reader.columns()

    def __len__(self) -> int:
        return len(self.stamp)

    @cached_property
    def judged(self) -> np.ndarray:
        """Places of the explained frames, episode by episode in order of time, int64 [m]; means are over these."""
        places = np.flatnonzero(self.explained)
        return places[np.argsort(self.episode[places], kind="stable")]

    def by_episode(self, values: np.ndarray) -> list[np.ndarray]:
        """Return ``values`` (float [n] or [n, k]) of the explained frames, an array an episode that has any."""
        return split_by(self.episode[self.judged], values[self.judged])


def split_by(labels: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    """Return the stretches of ``values`` (float [n, ...]) with one label (int [n]) each; none for no values."""
    if not len(labels):
        return []
    return np.split(values, np.flatnonzero(np.diff(labels)) + 1)


class _Reader:
    """Gathers the columns from parts of a table; what a part does not have is NaN."""

    NUMBERS = ("stamp", "seconds", "explained", "chance")

    def __init__(self, percent: int, effects: Sequence[str]) -> None:
        self._kinds = {"stamp": np.dtype(np.int64), "explained": np.dtype(bool)}
        self._ratio = {"value": f"nmr_{percent}", "low": f"nmr_{percent}_low", "high": f"nmr_{percent}_high"}
        self._effects = effects
        figures = [f"effect_{name}{end}" for name in effects for end in ("", "_share")]
        self._numbers = [*self.NUMBERS, *self._ratio.values(), "seconds_policy", *figures]
        self.names = [*TEXTS, *self._numbers, *(f"effect_{name}_reason" for name in effects)]
        self._parts: dict[str, list[np.ndarray]] = {
            name: [] for name in ("source", "episode", *self._numbers)
        }
        self._sources: dict[str, int] = {}
        self._episodes: dict[tuple[str, str], int] = {}
        self._instructions: list[str] = []
        self._reasons: Counter[str] = Counter()
        self._effect_reasons: dict[str, str] = {}

    def take(self, part: Mapping[str, Any]) -> None:
        """Take in the next rows."""
        length = len(part["stamp"])
        for name in self._numbers:
            found = part.get(name)
            kind = self._kinds.get(name, np.dtype(np.float64))
            values = np.full(length, np.nan) if found is None else np.array(found, kind)
            self._parts[name].append(values)
        sources = [self._sources.setdefault(name, len(self._sources)) for name in part["source"]]
        episodes = zip(part["source"], part["episode"], part["instruction"], strict=True)
        self._parts["source"].append(np.array(sources, np.int32))
        self._parts["episode"].append(np.array([self._episode(*each) for each in episodes], np.int32))
        self._reasons.update(reason for reason in part["reason"] if reason)
        for name in self._effects:
            if name not in self._effect_reasons:
                given = zip(part["explained"], part[f"effect_{name}_reason"], strict=True)
                first = next((reason for explained, reason in given if explained and reason), "")
                self._effect_reasons |= {name: first} if first else {}

    def _episode(self, source: str, name: str, instruction: str) -> int:
        place = self._episodes.setdefault((source, name), len(self._episodes))
        if place == len(self._instructions):
            self._instructions.append(instruction)
        return place

    def columns(self) -> FrameColumns:
        """Return all that was taken in; once, for the parts are let go."""
        effects = {
            name: EffectColumns(
                self._whole(f"effect_{name}"),
                self._whole(f"effect_{name}_share"),
                self._effect_reasons.get(name, ""),
            )
            for name in self._effects
        }
        return FrameColumns(
            **{name: self._whole(name) for name in ("source", "episode", *self.NUMBERS)},
            **{name: self._whole(column) for name, column in self._ratio.items()},
            spent=self._whole("seconds_policy"),
            sources=tuple(self._sources),
            episodes=tuple(self._episodes),
            instructions=tuple(self._instructions),
            effects=effects,
            reasons=self._reasons,
        )

    def _whole(self, name: str) -> np.ndarray:
        parts = self._parts.pop(name)
        kind = (
            np.dtype(np.int32)
            if name in ("source", "episode")
            else self._kinds.get(name, np.dtype(np.float64))
        )
        return np.concatenate(parts) if parts else np.empty(0, kind)


def _of_rows(rows: Iterable[FrameRow], names: Sequence[str]) -> dict[str, Any]:
    flat = [row.flat() for row in rows]
    return {name: [each.get(name) for each in flat] for name in names}
