"""What a ROS parameter file gives a node, by the rules of rcl."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PARAMETERS = "ros__parameters"


def parameter_of(path: Path, node: str, name: str) -> Any:
    """Return the value that a parameter file gives ``name`` of ``node``, or None where it gives none.

    ``node``: the full name, such as ``/left/iss_node``. Sections may be nested; ``*`` stands for one part of a name,
    ``**`` for any number. Of all that fit the later one wins; one that is written twice has its first place. Raises
    ValueError for a file that cannot be read.
    """
    given: dict[str, yaml.Node | None] = {}
    for section, parameters in _sections(_read(path), ""):
        given.setdefault(section, None)
        for key, value in _pairs(parameters):
            if key == name:
                given[section] = value
    fitting = [value for section, value in given.items() if value is not None and _fits(section, node)]
    return yaml.SafeLoader("").construct_object(fitting[-1], deep=True) if fitting else None


def _read(path: Path) -> yaml.Node | None:
    try:
        text = path.read_text(encoding="utf-8")
        # rcl takes none either, and they can hold themselves.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError(
                f"params_file must be a ROS parameter file, '{path}' has aliases; write out what they stand for"
            )
        # Composed alone: two sections of one name, which rcl joins, would replace each other in a dict.
        return yaml.compose(text, yaml.SafeLoader)
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"params_file must be a ROS parameter file, cannot read '{path}': {reason}"
        ) from None


def _sections(node: yaml.Node | None, name: str) -> Iterator[tuple[str, yaml.Node]]:
    """Return the node names that are written within ``node``, each with its parameters, in order."""
    for key, value in _pairs(node):
        if key == PARAMETERS:
            yield name, value
        else:
            yield from _sections(value, f"{name}{'/' if name and not name.endswith('/') else ''}{key}")


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    return (
        [(str(key.value), value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []
    )


def _fits(section: str, node: str) -> bool:
    pattern = re.escape(f"/{section.removeprefix('/')}")
    return bool(re.fullmatch(pattern.replace(r"/\*\*", r"(/\w+)*").replace(r"/\*", r"/\w+"), node, re.ASCII))
