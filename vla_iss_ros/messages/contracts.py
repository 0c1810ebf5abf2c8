# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Contracts of rosetta, the bridge between ROS 2 and LeRobot: which topics make up what a policy sees.

Both forms are read: a mapping of keys with ``channel``, ``select`` and ``apply``, and the older list of entries with
``topic``, ``selector``, ``image`` and ``unit_conversion`` (https://github.com/iblnkn/rosetta, its folder contracts).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_iss_ros.messages.sources import ImageSource, StateSource
from vla_iss_ros.messages.yaml_files import YamlFileError, read_yaml
from vla_iss_ros.settings.shown import shown

IMAGES = {"sensor_msgs/msg/Image": False, "sensor_msgs/msg/CompressedImage": True}
STRING = "std_msgs/msg/String"
IMAGE_KEY = "observation.images."
STATE_KEY = "observation.state"
LONGEST_FIELD = 200
LONGEST_LIST = 400


class ContractError(ValueError):
    """A contract that cannot be used; its text is one line with the file, the entry and what to do."""


@dataclass(frozen=True)
class Contract:
    """What a contract says of observations. ``images`` by camera; ``instruction``: a topic, empty where none is."""

    images: Mapping[str, ImageSource]
    state: tuple[StateSource, ...]
    instruction: str

    def image(self, camera: str) -> ImageSource:
        """Return the source of ``camera``, which may be named with or without ``observation.images.``.

        Raises ContractError for a camera that is not there.
        """
        found = self.images.get(camera.removeprefix(IMAGE_KEY))
        if found is None:
            known = ", ".join(_in_words(name) for name in self.images)[:LONGEST_LIST]
            raise ContractError(f"the contract has no camera '{camera}'; it has {known or 'none'}")
        return found


def read_contract(path: Path) -> Contract:
    """Read a contract; raises ContractError in one line for a file or an entry that cannot be used."""
    try:
        data = read_yaml(path)
    except YamlFileError as error:
        raise ContractError(f"cannot read contract '{path}': {error}") from None
    try:
        return _contract(data)
    except ContractError as error:
        raise ContractError(f"contract '{path}': {error}") from None


def _contract(data: Any) -> Contract:
    if not isinstance(data, Mapping) or "observations" not in data:
        raise ContractError("has no observations")
    images: dict[str, ImageSource] = {}
    state: list[StateSource] = []
    for key, entry in _entries(data["observations"], "observations"):
        source = _Entry(key, entry)
        if source.type_name in IMAGES:
            images[key.removeprefix(IMAGE_KEY)] = source.image()
        elif key == STATE_KEY or key.startswith(f"{STATE_KEY}."):
            state.append(source.state())
    tasks = [_Entry(key, entry) for key, entry in _entries(data.get("tasks") or {}, "tasks")]
    prompts = [task for task in tasks if task.type_name == STRING]
    # The one that policies get; another may hold a policy's name.
    prompts.sort(key=lambda task: not any(word in task.key for word in ("instruction", "prompt")))
    return Contract(images, tuple(state), prompts[0].topic if prompts else "")


def _entries(section: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give key and entry; a key with several sources comes once for each, in their order."""
    if isinstance(section, Mapping):
        pairs = [
            (key, entry)
            for key, value in section.items()
            for entry in (value if isinstance(value, list) else [value])
        ]
    elif isinstance(section, list):
        pairs = [
            (entry.get("key"), entry) if isinstance(entry, Mapping) else ("", entry) for entry in section
        ]
    else:
        raise ContractError(f"{name} must be a mapping or a list, got {type(section).__name__}")
    for key, entry in pairs:
        if not isinstance(key, str) or not isinstance(entry, Mapping):
            raise ContractError(f"{name} must hold entries with keys, got {shown(entry)}")
        yield key, entry


class _Entry:
    """One entry in either form."""

    def __init__(self, key: str, entry: Mapping[str, Any]) -> None:
        self.key, self._entry = key, entry
        self._said = _in_words(key)
        channel = entry.get("channel", entry)
        if not isinstance(channel, Mapping):
            raise ContractError(f"{self._said}: channel must be a mapping, got {shown(channel)}")
        topic, type_name = channel.get("topic"), channel.get("type")
        if not isinstance(topic, str) or not isinstance(type_name, str) or not topic:
            raise ContractError(
                f"{self._said}: needs topic and type as texts, got {shown(topic)} and {shown(type_name)}"
            )
        self.topic, self.type_name = topic, type_name
        if channel.get("decoder"):
            raise ContractError(
                f"{self._said}: decoders of one's own are not run, got {shown(channel['decoder'])}"
            )

    def image(self) -> ImageSource:
        """Return the source of an image."""
        size = None
        for name, value in self._operators():
            if name != "resize":
                raise ContractError(
                    f"{self._said}: operator {shown(name)} of images is not known; known: resize"
                )
            size = self._size(value)
        return ImageSource(self.topic, IMAGES[self.type_name], size)

    def state(self) -> StateSource:
        """Return a source of the state."""
        degrees = False
        for name, _ in self._operators():
            if name != "rad2deg":
                raise ContractError(
                    f"{self._said}: operator {shown(name)} of states is not known; known: rad2deg"
                )
            degrees = True
        return StateSource(self.topic, self.type_name, self._selectors(), degrees)

    def _selectors(self) -> tuple[str, ...]:
        selector = self._entry.get("select", self._entry.get("selector"))
        field = ""
        if isinstance(selector, Mapping):
            field = f"{self._field(selector['field'])}." if "field" in selector else ""
            selector = selector.get("names")
        if not isinstance(selector, list) or not selector or not all(isinstance(s, str) for s in selector):
            raise ContractError(f"{self._said}: must select at least one name, got {shown(selector)}")
        return tuple(f"{field}{name}" for name in selector)

    def _field(self, field: Any) -> str:
        # It stands before each of the names.
        if not isinstance(field, str) or len(field) > LONGEST_FIELD:
            raise ContractError(
                f"{self._said}: field must be a text of at most {LONGEST_FIELD} characters, got {shown(field)}"
            )
        return field

    def _operators(self) -> list[tuple[Any, Any]]:
        """Return names, which may be anything but known ones, and values."""
        operators = self._entry.get("apply") or []
        if not isinstance(operators, list):
            raise ContractError(f"{self._said}: apply must be a list, got {shown(operators)}")
        found: list[tuple[Any, Any]] = []
        for operator in operators:
            found += operator.items() if isinstance(operator, Mapping) else [(operator, None)]
        image = self._entry.get("image")
        if isinstance(image, Mapping):
            found += [("resize", image[name]) for name in ("resize", "shape") if image.get(name)]
        conversion = self._entry.get("unit_conversion")
        return [*found, (conversion, None)] if conversion else found

    def _size(self, value: Any) -> tuple[int, int]:
        whole = isinstance(value, list) and len(value) >= 2 and all(type(side) is int for side in value[:2])
        if not whole or not all(1 <= side <= 8192 for side in value[:2]):
            raise ContractError(
                f"{self._said}: resize must be [height, width] in [1, 8192], got {shown(value)}"
            )
        return value[0], value[1]


def _in_words(key: str) -> str:
    """Return a key for an error text: short, on one line, without quotes."""
    return shown(key)[1:-1]
