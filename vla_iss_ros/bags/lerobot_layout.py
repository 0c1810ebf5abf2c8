# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where a LeRobot data set (v2.0, v2.1, v3.0) keeps what. pyarrow is imported when a table is read.

The format: https://github.com/huggingface/lerobot/blob/main/src/lerobot/datasets/dataset_metadata.py
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_iss_ros.bags.errors import BagError

INFO = "meta/info.json"
VERSIONS = re.compile(r"v(2\.[01]|3\.\d+)")
_FIELD = re.compile(r"\{(?:episode_chunk|episode_index|chunk_index|file_index|video_key)(?::0?\dd)?\}")
_MOST_FRAMES = 10_000_000  # of an episode; 11 days at 10 Hz
_LONGEST_VIDEO = 1e8  # s
_MOST_TEXT = 100_000_000  # bytes of a JSON file; 4,000 episodes take less than one million


@dataclass(frozen=True)
class Feature:
    """One column. ``kind``: video, image, or a type of number; ``names``: of its entries, empty where it has none."""

    kind: str
    names: tuple[str, ...] = ()
    depth: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether it is a colour camera."""
        return self.kind in ("video", "image") and not self.depth


@dataclass(frozen=True)
class DatasetEpisode:
    """``first``: its first frame's place in the data set. ``videos``: feature to file and its start in it, s."""

    index: int
    first: int
    length: int
    data: Path
    videos: Mapping[str, tuple[Path, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """What the files in meta/ say. ``tasks``: number to text."""

    root: Path
    version: str
    fps: float
    features: Mapping[str, Feature]
    tasks: Mapping[int, str]
    episodes: tuple[DatasetEpisode, ...]

    @property
    def pictures(self) -> list[str]:
        """Features that are colour cameras."""
        return [name for name, feature in self.features.items() if feature.is_picture]


def is_dataset(path: Path) -> bool:
    """Tell whether a path is the directory of a LeRobot data set."""
    return (path / INFO).is_file()


def read_layout(root: Path) -> Layout:
    """Read the files in meta/; raises BagError in one line when they are missing, broken or of another version."""
    try:
        info = _json(root / INFO)
        version = str(info.get("codebase_version"))
        if not VERSIONS.fullmatch(version):
            raise BagError(
                f"data set '{root}' has version {version[:20]}; v2.0, v2.1 and v3.x can be read: "
                "convert it with LeRobot"
            )
        features = {str(name): _feature(about) for name, about in info["features"].items()}
        fps = float(info["fps"])
        _check_range("fps", fps, 1e-3, 1e6)
        videos = [name for name, feature in features.items() if feature.kind == "video"]
        reader = _Version3 if version.startswith("v3") else _Version2
        tasks, episodes = reader(root, info, videos).read()
        return Layout(root, version, fps, features, tasks, tuple(episodes))
    except BagError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        KeyError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        detail = f"lacks {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise BagError(f"cannot read the data set '{root}': {detail}") from error


class _Version2:
    """JSON lines, and a file an episode."""

    def __init__(self, root: Path, info: Mapping[str, Any], videos: Sequence[str]) -> None:
        self._root, self._info, self._videos = root, info, videos

    def read(self) -> tuple[dict[int, str], list[DatasetEpisode]]:
        tasks = {
            int(each["task_index"]): str(each["task"]) for each in _lines(self._root / "meta/tasks.jsonl")
        }
        entries = sorted(
            (int(each["episode_index"]), _length(each["length"]))
            for each in _lines(self._root / "meta/episodes.jsonl")
        )
        episodes, first = [], 0
        for index, length in entries:
            episodes.append(self._episode(index, first, length))
            first += length
        return tasks, episodes

    def _episode(self, index: int, first: int, length: int) -> DatasetEpisode:
        chunk = int(self._info["chunks_size"])
        _check_range("chunks_size", chunk, 1, math.inf)
        numbers = {"episode_chunk": index // chunk, "episode_index": index}
        videos = {
            key: (_place(self._root, self._info["video_path"], video_key=key, **numbers), 0.0)
            for key in self._videos
        }
        return DatasetEpisode(
            index, first, length, _place(self._root, self._info["data_path"], **numbers), videos
        )


class _Version3:
    """Tables, and files of many episodes."""

    def __init__(self, root: Path, info: Mapping[str, Any], videos: Sequence[str]) -> None:
        self._root, self._info, self._videos = root, info, videos

    def read(self) -> tuple[dict[int, str], list[DatasetEpisode]]:
        table = read_table(self._root / "meta/tasks.parquet")
        # pandas writes the index, which holds the texts, as a column of this or that name.
        texts = next((name for name in table.column_names if name != "task_index"), None)
        if texts is None:
            raise ValueError("meta/tasks.parquet has no texts")
        numbers = table.column("task_index").to_pylist()
        tasks = {
            int(each): str(text) for each, text in zip(numbers, table.column(texts).to_pylist(), strict=True)
        }
        files = sorted((self._root / "meta/episodes").glob("*/*.parquet"))
        if not files:
            raise ValueError("meta/episodes holds no table")
        wanted = ["episode_index", "length", "dataset_from_index", "data/chunk_index", "data/file_index"]
        for key in self._videos:
            wanted += [f"videos/{key}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
        rows = [row for file in files for row in read_table(file, wanted).to_pylist()]
        rows.sort(key=lambda row: row["episode_index"])
        return tasks, [self._episode(row) for row in rows]

    def _episode(self, row: Mapping[str, Any]) -> DatasetEpisode:
        data = _place(
            self._root,
            self._info["data_path"],
            chunk_index=int(row["data/chunk_index"]),
            file_index=int(row["data/file_index"]),
        )
        videos = {}
        for key in self._videos:
            numbers = {name: int(row[f"videos/{key}/{name}"]) for name in ("chunk_index", "file_index")}
            place = _place(self._root, self._info["video_path"], video_key=key, **numbers)
            start = float(row[f"videos/{key}/from_timestamp"])
            _check_range("from_timestamp of a video", start, 0, _LONGEST_VIDEO)
            videos[key] = place, start
        first, length = int(row["dataset_from_index"]), _length(row["length"])
        return DatasetEpisode(int(row["episode_index"]), first, length, data, videos)


def read_table(path: Path, columns: Sequence[str] | None = None, filters: Any = None) -> Any:
    """Return a pyarrow.Table of a Parquet file; raises BagError in one line, ImportError without pyarrow.

    ``filters`` as of pyarrow.parquet.read_table: parts of the file that cannot match are not read.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("LeRobot data sets need pyarrow: pip install 'vla_iss_ros[bags]'") from error
    try:
        # Neither threads nor a memory map: a file on a network that breaks off must be an error, not a signal.
        return pyarrow.parquet.read_table(
            str(path), columns=None if columns is None else list(columns), filters=filters, use_threads=False
        )
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        detail = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BagError(f"cannot read the table '{path}': {detail}; copy it again") from error


def _length(value: Any) -> int:
    """Return an episode's number of frames."""
    _check_range("an episode's length", float(value), 0, _MOST_FRAMES)
    return int(value)


def _check_range(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{what} must be in [{low:g}, {high:g}], got {value:g}")


def _feature(about: Mapping[str, Any]) -> Feature:
    info = {**(about.get("video_info") or {}), **(about.get("info") or {})}
    depth = bool(info.get("is_depth_map") or info.get("video.is_depth_map"))
    return Feature(str(about["dtype"]), tuple(_names(about.get("names"))), depth)


def _names(names: Any) -> Iterator[str]:
    """Yield the names of a feature's entries: a list, or a dictionary of lists such as {"motors": [...]}."""
    if isinstance(names, Mapping):
        for each in names.values():
            yield from _names(each)
    elif isinstance(names, (list, tuple)):
        yield from (str(each) for each in names)


def _place(root: Path, template: str, **values: Any) -> Path:
    """Return a file of the data set; its name comes from the data set and must stay within."""
    if "{" in _FIELD.sub("", template) or "}" in _FIELD.sub("", template):
        raise ValueError(f"path '{template[:80]}' has fields that the format does not know")
    path = root / template.format(**values)
    if not path.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"path '{template[:80]}' leads out of the data set")
    return path


def _json(path: Path) -> Any:
    if path.stat().st_size > _MOST_TEXT:
        raise ValueError(f"'{path}' has {path.stat().st_size} bytes, which no data set needs")
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"'{path}' must hold a JSON object")
    return found


def _lines(path: Path) -> list[Any]:
    if path.stat().st_size > _MOST_TEXT:
        raise ValueError(f"'{path}' has {path.stat().st_size} bytes, which no data set needs")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
