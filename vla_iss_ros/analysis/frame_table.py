# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The table of an analysis: one row a frame, as Parquet and as CSV."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ROW_GROUP = 1000
AREAS = ("nuisance", "robot", "object")
_NMR = re.compile(r"nmr_(\d+)(_low|_high)?")
_VIEW = re.compile(r"nmr_(\d+)_camera_(.+)")
_FLOOR = re.compile(r"floor_(\d+)")
_AREA = re.compile(rf"area_(.+)_({'|'.join(AREAS)})")
_EFFECT = re.compile(r"effect_(.+?)(_standard_error|_share|_reason)?")
_SECONDS = re.compile(r"seconds_(.+)")


@dataclass(frozen=True)
class EffectFigures:
    """Effect of replacing one modality; NaN with a ``reason`` where it was not measured.

    ``delta``: mean divergence, in units of delta. ``share``: over that of replacing everything. ``standard_error``: of
    ``delta``.
    """

    delta: float = math.nan
    share: float = math.nan
    standard_error: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class RatioFigures:
    """NMR@k of one frame: ``value`` in ``low`` to ``high``, at least ``floor``; ``views``: by camera. NaN: none."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    floor: float = math.nan
    views: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameRow:
    """One frame of a recording, explained or interpolated in time between explained ones.

    ``source``: name of the bag or data set within the run. ``episode``: its name; frames of different episodes are no
    neighbours. ``frame``: index within the episode. ``stamp``: ns, the first camera's image. ``seconds``: since the
    source's first frame. ``explained``: False where the map is interpolated; such rows have NMR without an interval,
    no effects and ``samples`` 0. ``ratios``: NMR by k. ``chance``: the nuisance area's share over all views.
    ``reason``: why NMR is undefined, else empty. ``words``: the instruction's words where they were explained, as JSON
    [[word, contrast, standard error or null], ...]. ``stood_in``: cameras that were missing, whose last image or a
    black one was used. ``areas``: camera to the area shares of ``AREAS``, NaN without
    regions. ``effects``: by ``camera_<name>``, instruction, state and everything. ``noise_floor``, ``mean_delta``: in
    units of delta. ``timings``: seconds a stage. ``piece``: file that holds the frame's map and pictures.
    """

    source: str
    episode: str
    frame: int
    stamp: int
    seconds: float
    instruction: str
    explained: bool
    piece: str
    samples: int = 0
    stop_reason: str = ""
    chance: float = math.nan
    noise_floor: float = math.nan
    mean_delta: float = math.nan
    shared_noise: bool = True
    reason: str = ""
    words: str = ""
    stood_in: str = ""
    ratios: Mapping[int, RatioFigures] = field(default_factory=dict)
    areas: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    effects: Mapping[str, EffectFigures] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        """What tells the frame from all others, in any run over the same recordings: (source, stamp)."""
        return self.source, self.stamp

    def flat(self) -> dict[str, Any]:
        """Return the row's columns, in their order.

        nmr_<k>, nmr_<k>_low, nmr_<k>_high, floor_<k> and nmr_<k>_camera_<camera>; area_<camera>_<nuisance, robot or
        object>; effect_<name>, effect_<name>_share, _standard_error and _reason; seconds_<stage>.
        """
        columns: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        for percent, ratio in self.ratios.items():
            columns[f"nmr_{percent}"] = ratio.value
            columns[f"nmr_{percent}_low"], columns[f"nmr_{percent}_high"] = ratio.low, ratio.high
            columns[f"floor_{percent}"] = ratio.floor
            columns |= {f"nmr_{percent}_camera_{camera}": value for camera, value in ratio.views.items()}
        for camera, areas in self.areas.items():
            columns |= {f"area_{camera}_{name}": areas.get(name, math.nan) for name in AREAS}
        for name, effect in self.effects.items():
            columns[f"effect_{name}"] = effect.delta
            columns[f"effect_{name}_share"] = effect.share
            columns[f"effect_{name}_standard_error"] = effect.standard_error
            columns[f"effect_{name}_reason"] = effect.reason
        columns |= {f"seconds_{stage}": value for stage, value in self.timings.items()}
        return columns

    @classmethod
    def of_flat(cls, columns: Mapping[str, Any]) -> FrameRow:
        """Return the row that ``flat`` made ``columns`` of; ignores others. Raises ValueError when one is missing."""
        columns = {**_YOUNGER, **columns}
        missing = [name for name in _PLAIN if name not in columns]
        if missing:
            raise ValueError(f"a table of frames needs the column {missing[0]}; it has {', '.join(columns)}")
        ratios: dict[int, dict[str, Any]] = {}
        areas: dict[str, dict[str, float]] = {}
        effects: dict[str, dict[str, Any]] = {}
        timings: dict[str, float] = {}
        for name, value in columns.items():
            if found := _VIEW.fullmatch(name):
                ratios.setdefault(int(found[1]), {}).setdefault("views", {})[found[2]] = value
            elif found := _NMR.fullmatch(name):
                ratios.setdefault(int(found[1]), {})[(found[2] or "_value")[1:]] = value
            elif found := _FLOOR.fullmatch(name):
                ratios.setdefault(int(found[1]), {})["floor"] = value
            elif found := _AREA.fullmatch(name):
                areas.setdefault(found[1], {})[found[2]] = value
            elif found := _EFFECT.fullmatch(name):
                effects.setdefault(found[1], {})[(found[2] or "_delta")[1:]] = value
            elif found := _SECONDS.fullmatch(name):
                timings[found[1]] = value
        return cls(
            **{name: columns[name] for name in _PLAIN},
            ratios={percent: RatioFigures(**figures) for percent, figures in ratios.items()},
            areas=areas,
            effects={name: EffectFigures(**figures) for name, figures in effects.items()},
            timings=timings,
        )


_PLAIN: Mapping[str, Callable[[str], Any]] = {
    "source": str,
    "episode": str,
    "frame": int,
    "stamp": int,
    "seconds": float,
    "instruction": str,
    "explained": lambda text: text == "True",
    "piece": str,
    "samples": int,
    "stop_reason": str,
    "chance": float,
    "noise_floor": float,
    "mean_delta": float,
    "shared_noise": lambda text: text == "True",
    "reason": str,
    "words": str,
    "stood_in": str,
}


# Columns that older tables do not have, with what held then.
_YOUNGER: Mapping[str, Any] = {"stood_in": ""}


class TableWriter:
    """Writes rows to a Parquet and a CSV file as they come, a context manager.

    Both take their names when the block has succeeded; until then, and after a failure, what was there before stays.
    All rows must have the columns of the first. Memory holds a thousand rows.
    """

    def __init__(self, parquet: Path, comma_separated: Path) -> None:
        """Name the files; raises ImportError, naming the extra, without pyarrow."""
        _pyarrow()
        self._finals = (parquet, comma_separated)
        self._partials = tuple(path.with_name(f".{path.name}.{os.getpid()}.partial") for path in self._finals)
        self._columns: tuple[str, ...] = ()
        self._schema: Any = None
        self._parquet: Any = None
        self._file: Any = None
        self._csv: Any = None
        self._pending: list[dict[str, Any]] = []

    def write(self, rows: Iterable[FrameRow]) -> None:
        """Append ``rows``; raises ValueError for one with other columns."""
        for row in rows:
            columns = row.flat()
            if self._parquet is None:
                self._open(columns)
            if tuple(columns) != self._columns:
                odd = sorted(set(columns) ^ set(self._columns))
                raise ValueError(f"all rows of a table have the same columns; this one differs in {odd}")
            self._csv.writerow(columns.values())
            self._pending.append(columns)
            if len(self._pending) >= ROW_GROUP:
                self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._parquet.write_table(_pyarrow().Table.from_pylist(self._pending, self._schema))
            self._pending.clear()

    def _open(self, first: Mapping[str, Any]) -> None:
        import pyarrow.parquet as parquet

        arrow = _pyarrow()
        kinds = {bool: arrow.bool_(), int: arrow.int64(), float: arrow.float64(), str: arrow.string()}
        self._columns = tuple(first)
        self._schema = arrow.schema([(name, kinds[_kind(name)]) for name in first])
        self._parquet = parquet.ParquetWriter(self._partials[0], self._schema)
        self._file = self._partials[1].open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(self._columns)

    def __enter__(self) -> TableWriter:
        self._finals[0].parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
            for file in (self._parquet, self._file):
                if file is not None:
                    file.close()
            if kind is None and self._parquet is not None:
                for partial, final in zip(self._partials, self._finals, strict=True):
                    partial.replace(final)
        finally:
            for partial in self._partials:
                partial.unlink(missing_ok=True)


def write_table(rows: Iterable[FrameRow], parquet: Path, comma_separated: Path) -> None:
    """Write all of ``rows`` as a Parquet and a CSV file; see :class:`TableWriter`."""
    with TableWriter(parquet, comma_separated) as writer:
        writer.write(rows)


def read_table(path: Path) -> list[FrameRow]:
    """Return the rows of a table, CSV where the name ends so and else Parquet.

    Raises ValueError for a file that is no table of frames, ImportError naming the extra without pyarrow.
    """
    return list(iterate_table(path))


def iterate_table(path: Path) -> Iterator[FrameRow]:
    """Yield what ``read_table`` returns, in chunks of bounded memory."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            for texts in csv.DictReader(file):
                yield FrameRow.of_flat({name: _parsed(name, text) for name, text in texts.items()})
        return
    with opened_table(path) as table:
        for batch in table.iter_batches(ROW_GROUP):
            yield from map(FrameRow.of_flat, batch.to_pylist())


def opened_table(path: Path) -> Any:
    """Return the open ``pyarrow.parquet.ParquetFile``, a context manager; raises as ``read_table``."""
    _pyarrow()
    import pyarrow.parquet as parquet

    try:
        return parquet.ParquetFile(path)
    except Exception as error:  # pyarrow's own, of several kinds
        raise ValueError(f"cannot read the table of frames '{path}': {error}") from error


def _kind(name: str) -> type:
    if name in ("explained", "shared_noise"):
        return bool
    if name in _PLAIN:
        kind = _PLAIN[name]
        return kind if isinstance(kind, type) else str
    return str if name.endswith("_reason") else float


def _parsed(name: str, text: str) -> Any:
    return _PLAIN[name](text) if name in _PLAIN else _kind(name)(text)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("tables need pyarrow: pip install 'vla_iss_ros[bags]'") from error
    return pyarrow
