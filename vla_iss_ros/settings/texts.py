# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Parameter files and the reference's table, made from the settings."""

from __future__ import annotations

from typing import Any

from vla_iss_ros.settings.definitions import ALL, GROUPS
from vla_iss_ros.settings.method import REFERENCE
from vla_iss_ros.settings.setting import Setting


def as_yaml() -> str:
    """Return a ROS parameter file with every setting, its default, unit and description."""
    lines = [
        "# Every parameter of iss_node with its default. Made from vla_iss_ros/settings; a test compares."
    ]
    lines += ["/**:", "  ros__parameters:"]
    for group, settings in GROUPS.items():
        lines.append(f"    # {group}")
        for setting in settings:
            lines.append(f"    # {setting.description}{_notes(setting, ' ')}")
            lines.append(f"    {setting.name}: {_yaml_value(setting.default)}")
    return "\n".join(lines) + "\n"


def reference_as_yaml() -> str:
    """Return a ROS parameter file with the settings of the paper's public code."""
    lines = ["# The settings of the paper's public code. Made from vla_iss_ros/settings; a test compares."]
    lines += ["/**:", "  ros__parameters:"]
    lines += [f"    {name}: {_yaml_value(value)}" for name, value in REFERENCE.items()]
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """Return the table of parameters that stands in README.md."""
    lines = [
        "| parameter | type | default | range | changes | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for setting in ALL:
        kind = {list: "list", bool: "bool", int: "int", float: "float", str: "string"}[type(setting.default)]
        default, changes = _yaml_value(setting.default), "unconfigured" if setting.fixed else "any time"
        lines.append(
            f"| `{setting.name}` | {kind} | `{default}` | {_range(setting)} | {changes} | {setting.description} |"
        )
    return "\n".join(lines) + "\n"


def _range(setting: Setting) -> str:
    if setting.choices:
        return ", ".join(setting.choices)
    unit = f" {setting.unit}" if setting.unit not in ("", "1") else ""
    return (
        f"{setting.minimum:g} to {setting.maximum:g}{unit}" if setting.minimum is not None else unit.strip()
    )


def _notes(setting: Setting, lead: str) -> str:
    notes = []
    if setting.unit not in ("", "1"):
        notes.append(f"unit: {setting.unit}")
    if setting.minimum is not None:
        notes.append(f"range: {setting.minimum:g} to {setting.maximum:g}")
    if setting.choices:
        notes.append(f"one of: {', '.join(setting.choices)}")
    if setting.fixed:
        notes.append("fixed while configured")
    return f"{lead}({'; '.join(notes)})" if notes else ""


def _yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(str(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
