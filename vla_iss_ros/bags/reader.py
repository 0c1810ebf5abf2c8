"""Read a rosbag2 (MCAP or sqlite3) with rosbags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from vla_iss_ros.bags.errors import BagError

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
        with self._explained():
            messages = self._reader.messages(connections, start, stop)
        while True:
            with self._explained():
                following = next(messages, None)
            if following is None:
                return
            connection, stamp, data = following
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
