"""Settings and topics from the parameter file of the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vla_iss_ros.settings import BY_NAME

# Names that sections of a parameter file may have for iss_node.
SECTIONS = ("/**", "/**/iss_node", "/iss_node", "iss_node")
# Arguments of launch/iss.launch.py that name topics; analyze_bag reads them from a file as well.
TOPICS = ("image_topics", "region_topics", "instruction_topic", "state_topic", "episode_topic")


def read_parameters(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (settings, topics) that a ROS parameter file gives iss_node; later sections win.

    ``topics``: those of ``TOPICS``, as the arguments of iss.launch.py. Settings that no recording has a use for are
    read like all others. Raises ValueError in one line for a file of another form or an unknown parameter.
    """
    try:
        sections = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"cannot read parameters from '{path}': {' '.join(str(error).split())}") from error
    values: dict[str, Any] = {}
    if isinstance(sections, Mapping):
        for name in SECTIONS:
            section = sections.get(name)
            if isinstance(section, Mapping):
                values.update(section.get("ros__parameters") or {})
    if not values:
        raise ValueError(
            f"'{path}' has no ros__parameters under {' or '.join(SECTIONS)}; see config/iss.yaml"
        )
    topics = {name: str(values.pop(name)) for name in TOPICS if name in values}
    # Every node has these beside its own.
    values = {name: value for name, value in values.items() if name not in ("use_sim_time", "qos_overrides")}
    unknown = sorted(set(values) - set(BY_NAME))
    if unknown:
        raise ValueError(f"'{path}' has the unknown parameter '{unknown[0]}'; see config/iss.yaml")
    return values, topics


def topic_of_each_camera(argument: str, text: str, cameras: list[str]) -> dict[str, str]:
    """Return camera to topic from an argument as iss.launch.py takes it; raises ValueError when they do not pair up."""
    topics = [topic.strip() for topic in text.split(",")]
    if len(topics) == 1 and "{camera}" in topics[0]:
        return {camera: topics[0].replace("{camera}", camera) for camera in cameras}
    if len(topics) != len(cameras) or not all(topics):
        raise ValueError(f"{argument} must name one topic for each of the cameras {cameras}, got '{text}'")
    return dict(zip(cameras, topics, strict=True))
