# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""YAML files from elsewhere: no code is run, and aliases cannot multiply what they hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

LARGEST_FILE = 1_000_000
# Characters, with every alias replaced by what it stands for.
LARGEST_DOCUMENT = 2 * LARGEST_FILE
LONGEST_ERROR = 200


class YamlFileError(ValueError):
    """A file that cannot be read; its text is one short line without the file's name."""


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds, None for an empty one.

    Raises YamlFileError for a file that is not there, broken, too large, or grows beyond all measure by its aliases.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise YamlFileError(f"must have at most {LARGEST_FILE} bytes, got more")
        return _construct(data.decode("utf-8"))
    # ValueError: impossible dates and endless numbers.
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise YamlFileError(" ".join(str(error).split())[:LONGEST_ERROR]) from None


def _construct(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        # Before anything is built from it: merge keys copy what their aliases hold.
        length = _written_out(node, {})
        if length > LARGEST_DOCUMENT:
            raise YamlFileError(
                f"must have at most {LARGEST_DOCUMENT} characters with its aliases written out, "
                f"got {length if length < 10**12 else 'more than 10^12'}; use fewer aliases"
            )
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _written_out(node: yaml.Node, lengths: dict[int, int]) -> int:
    """Return the characters of ``node`` with its aliases written out; ``lengths`` holds those of nodes seen, by id.

    Takes each node once, whatever refers to it. Raises YamlFileError for a node that holds itself.
    """
    known = lengths.get(id(node))
    if known is not None:
        if known == 0:
            raise YamlFileError(f"line {node.start_mark.line + 1} must not hold an alias of itself")
        return known
    lengths[id(node)] = 0  # not known yet
    length = 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
    for part in _parts(node):
        length += _written_out(part, lengths)
    lengths[id(node)] = length
    return length


def _parts(node: yaml.Node) -> Iterable[yaml.Node]:
    """Return the nodes right within ``node``."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else ()
