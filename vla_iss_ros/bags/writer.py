# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Write a rosbag2 (MCAP) with rosbags."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import Stores, TypesysError, get_typestore
from rosbags.typesys.store import Typestore

from vla_iss_ros.bags.errors import BagError


class BagWriter:
    """A new rosbag2 directory, a context manager: the bag takes its name when the block has succeeded.

    A recording that was finished but could not take its name stays where BagError says.

    ``typestore``: the types that messages are made of and written with (default: those of ROS 2 Jazzy).
    """

    def __init__(
        self,
        path: Path | str,
        *,
        overwrite: bool = False,
        typestore: Typestore | None = None,
        compress: bool = False,
    ) -> None:
        """Name the bag; raises BagError when it exists, unless it may be overwritten.

        ``compress``: the chunks of the file, with zstd, as MCAP readers undo by themselves.
        """
        self._compress = compress
        self.path = Path(path)
        self.typestore = typestore or get_typestore(Stores.ROS2_JAZZY)
        self._overwrite = overwrite
        self._check_free()
        self._temporary = self.path  # a directory of its own once entered
        self._writer: Writer | None = None
        self._connections: dict[str, Connection] = {}

    def write(self, topic: str, message: Any, stamp: int) -> None:
        """Write a message of rosbags' classes, logged at ``stamp`` ns.

        Raises BagError when the message cannot be serialised or the topic has another type.
        """
        type_name = getattr(message, "__msgtype__", None)
        if type_name is None:
            raise BagError(f"message for '{topic}' must be of the typestore, got {type(message).__name__}")
        try:
            data = self.typestore.serialize_cdr(message, type_name)
        except Exception as error:  # rosbags raises whatever the wrong field runs into
            raise BagError(f"cannot serialise {type_name} for '{topic}': {error}") from error
        self.write_raw(topic, type_name, bytes(data), stamp)

    def write_raw(self, topic: str, type_name: str, data: bytes, stamp: int) -> None:
        """Write a serialised message (CDR) as it was received, logged at ``stamp`` ns.

        ``type_name``: such as "sensor_msgs/msg/Image". Use the bytes of raw subscriptions: rclpy's
        serialize_message pads its result, which readers refuse. Raises BagError for a type that the typestore
        lacks, or another type than before.
        """
        if self._writer is None:
            raise BagError(f"bag '{self.path}' is not open for writing; use it in a with statement")
        if stamp < 0:
            raise BagError(f"stamp must not be negative, got {stamp} ns on '{topic}'")
        connection = self._connections.get(topic) or self._connect(topic, type_name)
        if connection.msgtype != type_name:
            raise BagError(f"topic '{topic}' has type {connection.msgtype}, got a message of {type_name}")
        self._writer.write(connection, stamp, data)

    def __enter__(self) -> BagWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A name that nothing has: a recording kept by an earlier failure must not be overwritten.
            directory = tempfile.mkdtemp(".partial", f".{self.path.name}.", self.path.parent)
        except OSError as error:
            raise BagError(f"cannot write bag '{self.path}': {error.strerror}") from error
        self._temporary = Path(directory)
        # rosbags names the file within a bag after its directory, so the temporary one has the right name in
        # another place.
        writer = Writer(self._temporary / self.path.name, version=9, storage_plugin=StoragePlugin.MCAP)
        if self._compress:
            writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        try:
            writer.open()
        except OSError as error:
            shutil.rmtree(self._temporary, ignore_errors=True)
            raise BagError(f"cannot write bag '{self.path}': {error.strerror}") from error
        self._writer = writer
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        writer, self._writer = self._writer, None
        assert writer is not None
        if kind is not None:
            try:
                writer.abort()
            finally:
                shutil.rmtree(self._temporary, ignore_errors=True)
            return
        try:
            writer.close()
            self._publish()
        except Exception as failure:  # whatever it is, the messages are there and must be found again
            kept = self._temporary / self.path.name
            raise BagError(f"{failure}; the recording is kept in '{kept}'") from failure
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _connect(self, topic: str, type_name: str) -> Connection:
        assert self._writer is not None
        try:
            connection = self._writer.add_connection(topic, type_name, typestore=self.typestore)
        except (TypesysError, WriterError) as error:
            raise BagError(f"cannot record '{topic}' of type {type_name}: {error}") from error
        self._connections[topic] = connection
        return connection

    def _check_free(self) -> None:
        if not self.path.exists():
            return
        if not self._overwrite:
            raise BagError(f"bag '{self.path}' exists already; choose another name or allow overwriting")
        # Overwriting removes a whole directory: never one that is something else.
        if not (self.path / "metadata.yaml").is_file():
            raise BagError(f"'{self.path}' is not a bag, so it is not overwritten; choose another name")

    def _publish(self) -> None:
        """Give the finished bag its name; an old one goes only now, and comes back if that fails."""
        self._check_free()
        replaced = self._temporary / ".replaced"
        if self.path.exists():
            self.path.rename(replaced)
        try:
            (self._temporary / self.path.name).rename(self.path)
        except OSError:
            if replaced.exists() and not self.path.exists():
                replaced.rename(self.path)
            raise
