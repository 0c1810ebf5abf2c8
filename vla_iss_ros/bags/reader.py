# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read a rosbag2 (MCAP or sqlite3) with rosbags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag2.storage_mcap import McapReader
from rosbags.typesys import Stores, get_typestore

from vla_iss_ros.bags.errors import BagError

# A file without an index is read so far beyond the end of what is wanted, to notice messages out of order; ns.
_DISORDER = 1_000_000_000
_NO_INDEX = (
    "it has no index, as MCAP files without chunks: each segment is searched for from its beginning, which is slow; "
    "'mcap recover' writes a copy with an index"
)
_REPAIR = "if the recording was cut off, try 'mcap recover' and 'ros2 bag reindex'"


class Topic(NamedTuple):
    """A topic of a bag: its message type, such as "std_msgs/msg/String", and how many messages it has."""

    type_name: str
    message_count: int


class BagMessage(NamedTuple):
    """``stamp``: nanoseconds at which the message was logged; its header may hold another one."""

    topic: str
    stamp: int
    message: Any


class RawMessage(NamedTuple):
    """As ``BagMessage``, with the serialised bytes (CDR) and the type's name instead of the message."""

    topic: str
    stamp: int
    type_name: str
    data: bytes


class Stretch(NamedTuple):
    """Part of a bag: log stamps [start, stop) ns, read with ``margin`` ns on both sides.

    What is bad in the margin is not counted: it belongs to another stretch.
    """

    start: int
    stop: int
    margin: int = 0

    @property
    def reach(self) -> tuple[int, int]:
        """From where to where is read."""
        return max(0, self.start - self.margin), self.stop + self.margin

    def __contains__(self, stamp: object) -> bool:
        return isinstance(stamp, int) and self.start <= stamp < self.stop


def _has_no_index(file: Any) -> bool:
    """Tell whether rosbags searches a file for messages: an MCAP file whose summary lists no chunks."""
    return isinstance(file, McapReader) and file.metadata.message_count > 0 and not file.chunks


class Bag:
    """An open rosbag2, a context manager.

    ``unreadable`` counts, by topic, the messages that could not be deserialised; iteration leaves them out.
    """

    def __init__(self, path: Path | str) -> None:
        """Open the bag; raises BagError when it is missing, corrupt or truncated."""
        self.path = Path(path)
        self.unreadable: Counter[str] = Counter()
        if not self.path.exists():
            raise BagError(f"bag '{self.path}' does not exist")
        if self.path.is_dir() and not (self.path / "metadata.yaml").exists():
            raise BagError(f"bag '{self.path}' has no metadata.yaml; {_REPAIR}")
        with self._explained():
            self._reader = AnyReader([self.path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
            self._reader.open()

    @property
    def name(self) -> str:
        """The bag's own name, without the directories that it lies in."""
        return self.path.resolve().name

    @property
    def topics(self) -> Mapping[str, Topic]:
        """All topics, by name."""
        return {name: Topic(info.msgtype or "", info.msgcount) for name, info in self._reader.topics.items()}

    @property
    def advice(self) -> str:
        """What would make the bag faster to read, for people; empty where nothing would."""
        return _NO_INDEX if any(map(_has_no_index, self._files)) else ""

    @property
    def _files(self) -> Sequence[Any]:
        """The readers of the bag's files."""
        storage = getattr(self._reader.readers[0], "storage", None)
        return getattr(storage, "storages", [storage])

    @cached_property
    def _is_scanned(self) -> bool:
        """Whether the bag is one file without an index, which can only be read from its beginning."""
        return len(self._files) == 1 and _has_no_index(self._files[0])

    def raw_messages(
        self, topics: Collection[str] | None = None, start: int | None = None, stop: int | None = None
    ) -> Iterator[RawMessage]:
        """Yield the serialised messages of ``topics`` (None: of all) in the order of their log stamps.

        Only those logged in [start, stop) ns, without reading through what lies before where the format has an
        index. Raises BagError where the bag is damaged; what came before is good.
        """
        connections = self._connections(topics)
        if not connections:
            return
        # rosbags would search a file without an index to its end. It refuses what is not in order, so that nothing
        # before ``stop`` follows what was logged well after it.
        with self._explained():
            messages = self._reader.messages(connections, start, None if self._is_scanned else stop)
        while True:
            with self._explained():
                following = next(messages, None)
            if following is None:
                return
            connection, stamp, data = following
            if stop is not None and stamp >= stop:
                if stamp >= stop + _DISORDER:
                    return
                continue
            yield RawMessage(connection.topic, stamp, connection.msgtype, data)

    def messages(
        self, topics: Collection[str] | None = None, stretch: Stretch | None = None
    ) -> Iterator[BagMessage]:
        """Yield the messages of ``topics`` (None: of all) in the order of their log stamps; count bad ones.

        ``stretch`` (None: the whole bag) as ``start`` and ``stop`` of ``raw_messages``, with its margin. Raises
        BagError where the bag is damaged; what came before is good.
        """
        start, stop = stretch.reach if stretch else (None, None)
        for raw in self.raw_messages(topics, start, stop):
            try:
                message = self._reader.deserialize(raw.data, raw.type_name)
            except (
                Exception
            ):  # rosbags lets struct, Unicode, index and assertion errors of broken bytes through
                self.unreadable[raw.topic] += stretch is None or raw.stamp in stretch
                continue
            yield BagMessage(raw.topic, raw.stamp, message)

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connections(self, topics: Collection[str] | None) -> list[Connection]:
        return [each for each in self._reader.connections if topics is None or each.topic in topics]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn every failure of the library into one line: broken files raise anything at all."""
        try:
            yield
        except Exception as error:
            detail = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            raise BagError(f"cannot read bag '{self.path}': {detail}; {_REPAIR}") from error
