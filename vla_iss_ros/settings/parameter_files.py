# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a ROS parameter file gives a node, by the rules of rcl."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vla_iss_ros.settings.shown import shown

PARAMETERS = "ros__parameters"
LARGEST_FILE = 1_000_000  # bytes
LONGEST_ERROR = 200


def parameter_of(path: Path, node: str, name: str) -> Any:
    """Return the value that a parameter file gives ``name`` of ``node``, or None where it gives none; as below."""
    return parameters_of(path, node).get(name)


def parameters_of(path: Path, node: str) -> dict[str, Any]:
    """Return the values that a parameter file gives ``node``, by name.

    ``node``: the full name, such as ``/left/iss_node``. Sections may be nested; ``*`` stands for one part of a name,
    ``**`` for any number. Of all that fit the later one wins; one that is written twice has its first place. Raises
    ValueError, in one line, for a file that cannot be read or that gives the node something else than parameters.
    """
    try:
        return _given(_read(path), node)
    # ValueError: impossible dates and endless numbers, too.
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())[:LONGEST_ERROR]
        raise ValueError(f"cannot read parameters from '{path}': {reason}") from None


def _given(document: yaml.Node | None, node: str) -> dict[str, Any]:
    sections: dict[str, dict[str, Any]] = {}
    loader = yaml.SafeLoader("")
    for section, parameters in _sections(document, ""):
        if not _fits(section, node):
            continue
        values = loader.construct_object(parameters, deep=True)
        if not isinstance(values, dict | None):
            raise ValueError(f"{PARAMETERS} must be a mapping of names to values, got {shown(values)}")
        sections.setdefault(section, {}).update((str(name), value) for name, value in (values or {}).items())
    return {name: value for values in sections.values() for name, value in values.items()}


def _read(path: Path) -> yaml.Node | None:
    with path.open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it must have at most {LARGEST_FILE} bytes, got more")
    text = data.decode("utf-8")
    # rcl takes none either, and they can hold themselves.
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
        raise ValueError("it has aliases, which ROS does not take; write out what they stand for")
    # Composed alone: two sections of one name, which rcl joins, would replace each other in a dict.
    return yaml.compose(text, yaml.SafeLoader)


def _sections(node: yaml.Node | None, name: str) -> Iterator[tuple[str, yaml.Node]]:
    """Return the node names that are written within ``node``, each with its parameters, in order."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if key.value == PARAMETERS:
            yield name, value
        else:
            yield from _sections(value, f"{name}{'/' if name and not name.endswith('/') else ''}{key.value}")


def _fits(section: str, node: str) -> bool:
    pattern = re.escape(f"/{section.removeprefix('/')}")
    return bool(re.fullmatch(pattern.replace(r"/\*\*", r"(/\w+)*").replace(r"/\*", r"/\w+"), node, re.ASCII))
