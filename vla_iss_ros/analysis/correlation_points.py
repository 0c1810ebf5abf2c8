# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pairs of NMR and success, joined from tables of frames and a table of success."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vla_iss_ros.analysis.keyed_means import Key, KeyedMeans, header_of, number_in, rows_of
from vla_iss_ros.analysis.run_directory import RunDirectory

POLICY = "policy"
KEYS = (POLICY, "task", "seed", "episode", "source")
CLUSTERS = ("task", "seed")
SUCCESS = "success"
EXPLAINED = "explained"  # of analyze_bag: what is interpolated is in no mean
_NMR = re.compile(r"nmr_(\d+)")


@dataclass(frozen=True)
class NmrTable:
    """A table with columns nmr_<k>. ``policy``: of all its rows; empty: what its column policy says, if it has one."""

    path: Path
    policy: str = ""

    @classmethod
    def of(cls, text: str) -> NmrTable:
        """Return the table that ``PATH`` or ``NAME=PATH`` names; NAME is the policy.

        A directory of analyze_bag stands for its table of frames, and for its policy where there is no NAME. Raises
        ValueError in one line for a directory that holds no complete analysis.
        """
        name, separator, place = text.partition("=")
        if not (name and separator) or Path(text).exists():
            name, place = "", text
        path = Path(place).expanduser()
        if not path.is_dir():
            return cls(path, name)
        directory = RunDirectory(path)
        info = directory.read_info()
        if info is None:
            raise ValueError(f"'{path}' holds no analysis; give a table, or a directory of analyze_bag")
        if info["status"] != "complete":
            raise ValueError(
                f"the analysis in '{path}' is not complete; start analyze_bag again to resume it"
            )
        table = directory.parquet if directory.parquet.is_file() else directory.csv
        return cls(table, name or str(info["settings"]["policy"]))

    def columns(self) -> tuple[str, ...]:
        """Return the names of its columns, policy among them where that is known."""
        found = header_of(self.path)
        return found if POLICY in found or not self.policy else (*found, POLICY)


@dataclass(frozen=True)
class Points:
    """P pairs of NMR and success. ``keys``: names of what identifies a pair, ``labels``: their values, P of them.

    ``nmr``: k to float64 [P], NaN where it is undefined; ``success`` float64 [P] in [0, 1]. ``unmatched``: keys that
    one table alone has; ``missing``: rows without a success. ``clusters``: column to its values, P of them, of what
    pairs share. ``averaged``: columns in which the rows of one key differ.
    """

    keys: tuple[str, ...]
    labels: tuple[Key, ...]
    nmr: Mapping[int, np.ndarray]
    success: np.ndarray
    unmatched: int
    missing: int = 0
    clusters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    averaged: tuple[str, ...] = ()


def read_points(tables: Sequence[NmrTable], success: Path, keys: Sequence[str] = ()) -> Points:
    """Join tables of NMR with a table of success over the columns ``keys``; rows of one key are averaged.

    Without ``keys``, over those of policy, task, seed, episode and source that all tables have. Task and seed are
    clusters wherever a table has them and each key has one. Raises ValueError for a missing column, a value that is no
    number, success outside of [0, 1], tables of several policies that cannot be told apart, and tables that share no
    key.
    """
    columns, theirs = [table.columns() for table in tables], header_of(success)
    chosen = _chosen_keys(tables, columns, success, theirs, keys)
    percents = _percents(tables, columns)
    if SUCCESS not in theirs:
        raise ValueError(f"'{success}' has no column '{SUCCESS}'; it has {', '.join(theirs)}")
    nmr = KeyedMeans(tuple(f"nmr_{percent}" for percent in percents))
    for table, has in zip(tables, columns, strict=True):
        _add_rows(nmr, table.path, has, chosen, table.policy)
    succeeded = KeyedMeans((SUCCESS,))
    _add_rows(succeeded, success, theirs, chosen)
    labels = _labels(nmr, succeeded, chosen, tables[0].path, success)
    return Points(
        chosen,
        labels,
        {percent: np.array([nmr.mean(f"nmr_{percent}", label) for label in labels]) for percent in percents},
        np.array([succeeded.mean(SUCCESS, label) for label in labels]),
        len(set(nmr.counts) ^ set(succeeded.counts)),
        succeeded.undefined,
        _clusters(chosen, labels, (succeeded, nmr)),
        _averaged(labels, (succeeded, nmr)),
    )


def _chosen_keys(
    tables: Sequence[NmrTable],
    columns: Sequence[Sequence[str]],
    success: Path,
    theirs: Sequence[str],
    keys: Sequence[str],
) -> tuple[str, ...]:
    """Return the columns to match by; raises ValueError where there are none, or where policies would be mixed."""
    having = {str(table.path): has for table, has in zip(tables, columns, strict=True)} | {
        str(success): theirs
    }
    for path, has in having.items():
        missing = [key for key in keys if key not in has]
        if missing:
            raise ValueError(f"'{path}' has no column '{missing[0]}'; it has {', '.join(has)}")
    chosen = tuple(keys) or tuple(key for key in KEYS if all(key in has for has in (*columns, theirs)))
    if len(tables) > 1:
        _check_policies(tables, columns, success, bool(keys) or POLICY in chosen)
    if not chosen:
        paths = " and ".join(f"'{path}'" for path in having)
        raise ValueError(f"{paths} share none of the columns {', '.join(KEYS)}; name some with --keys")
    return chosen


def _check_policies(
    tables: Sequence[NmrTable], columns: Sequence[Sequence[str]], success: Path, told_apart: bool
) -> None:
    """Raise ValueError where rows of several policies would be averaged."""
    unnamed = [table.path for table, has in zip(tables, columns, strict=True) if POLICY not in has]
    if unnamed:
        raise ValueError(
            f"'{unnamed[0]}' is one of {len(tables)} tables and names no policy; give NAME={unnamed[0]}"
        )
    names = sorted({table.policy for table in tables})
    if len(names) > 1 and not told_apart:
        raise ValueError(
            f"the tables are of the policies {', '.join(names)}, and '{success}' has no column '{POLICY}' to tell them"
        )


def _percents(tables: Sequence[NmrTable], columns: Sequence[Sequence[str]]) -> list[int]:
    """Return the k that all tables have."""
    found = []
    for table, has in zip(tables, columns, strict=True):
        found.append({int(match[1]) for name in has if (match := _NMR.fullmatch(name))})
        if not found[-1]:
            raise ValueError(f"'{table.path}' has no column nmr_<k>, such as nmr_10; it has {', '.join(has)}")
    common = set.intersection(*found)
    if not common:
        raise ValueError(
            f"the tables share no nmr_<k>; they have k = {'; '.join(str(sorted(each)) for each in found)}"
        )
    return sorted(common)


def _add_rows(
    means: KeyedMeans, path: Path, has: Sequence[str], keys: Sequence[str], policy: str = ""
) -> None:
    """Average the rows of a table, which are of ``policy`` where that is given, into ``means``."""
    fixed = {POLICY: policy} if policy else {}
    others = [name for name in KEYS if name in has and name not in keys]
    marked = EXPLAINED in has and means.columns != (SUCCESS,)
    wanted = [name for name in (*keys, *others, *means.columns) if name not in fixed]
    wanted += [EXPLAINED] * (marked and EXPLAINED not in wanted)
    empty = True
    for line, cells in rows_of(path, wanted):
        row, empty = {**dict(zip(wanted, cells, strict=True)), **fixed}, False
        if marked and row[EXPLAINED].lower() in ("false", "0"):
            continue
        values = [number_in(path, line, name, row[name]) for name in means.columns]
        if means.columns == (SUCCESS,) and not (0 <= values[0] <= 1 or values[0] != values[0]):
            raise ValueError(f"'{path}', line {line}: success must be in [0, 1], got {values[0]:g}")
        means.add(tuple(row[key] for key in keys), values, {name: row[name] for name in others})
    if empty:
        raise ValueError(f"'{path}' has no rows below its header")


def _labels(
    nmr: KeyedMeans, succeeded: KeyedMeans, keys: Sequence[str], ours: Path, success: Path
) -> tuple[Key, ...]:
    """Return the keys that both sides have, in order; raises ValueError where there are none."""
    defined = [key for key, (count,) in succeeded.counts.items() if count]
    if not defined:
        raise ValueError(f"'{success}' has no success: all of its {succeeded.undefined} cells are empty")
    labels = tuple(sorted(key for key in defined if key in nmr.counts))
    if not labels:
        examples = " and ".join(
            f"'{path}' has {', '.join(next(iter(each)))}"
            for path, each in ((ours, nmr.counts), (success, defined))
        )
        raise ValueError(f"no {', '.join(keys)} is in both tables: {examples}; are they named alike?")
    return labels


def _clusters(
    keys: Sequence[str], labels: Sequence[Key], sides: Sequence[KeyedMeans]
) -> dict[str, tuple[str, ...]]:
    """Return what points share: columns of the key, or of the first side that has one value a key."""
    found: dict[str, tuple[str, ...]] = {}
    for name in CLUSTERS:
        if name in keys:
            found[name] = tuple(label[list(keys).index(name)] for label in labels)
            continue
        for side in sides:
            known = side.others.get(name, {})
            values = tuple(value for label in labels if (value := known.get(label)) is not None)
            if len(values) == len(labels):
                found.setdefault(name, values)
    return found


def _averaged(labels: Sequence[Key], sides: Sequence[KeyedMeans]) -> tuple[str, ...]:
    """Return the columns in which the rows of one of ``labels`` differ."""
    return tuple(
        name
        for name in KEYS
        if any(
            label in known and known[label] is None
            for side in sides
            for label in labels
            if (known := side.others.get(name, {}))
        )
    )
