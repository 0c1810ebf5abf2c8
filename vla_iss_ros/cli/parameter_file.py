"""Settings and topics from the parameter file of the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vla_iss_ros.messages.yaml_files import YamlFileError, read_yaml
from vla_iss_ros.settings import BY_NAME
from vla_iss_ros.settings.shown import shown

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
        sections = read_yaml(path)
    except YamlFileError as error:
        raise ValueError(f"cannot read parameters from '{path}': {error}") from error
    values: dict[str, Any] = {}
    if isinstance(sections, Mapping):
        for name in SECTIONS:
            section = sections.get(name)
            if isinstance(section, Mapping):
                values.update(_parameters(section, f"'{path}'"))
    if not values:
        raise ValueError(
            f"'{path}' has no ros__parameters under {' or '.join(SECTIONS)}; see config/iss.yaml"
        )
    topics = {name: values.pop(name) for name in TOPICS if name in values}
    for name, topic in topics.items():
        if not isinstance(topic, str):
            raise ValueError(f"'{path}' must give {name} as one text, got {shown(topic)}")
    # Every node has these beside its own.
    values = {name: value for name, value in values.items() if name not in ("use_sim_time", "qos_overrides")}
    unknown = [name for name in values if name not in BY_NAME]
    if unknown:
        raise ValueError(f"'{path}' has the unknown parameter {shown(unknown[0])}; see config/iss.yaml")
    return values, topics


def _parameters(section: Mapping[Any, Any], what: str) -> Mapping[Any, Any]:
    parameters = section.get("ros__parameters") or {}
    if not isinstance(parameters, Mapping):
        raise ValueError(
            f"{what} must have a mapping of names to values as ros__parameters, got {shown(parameters)}"
        )
    return parameters


def topic_of_each_camera(argument: str, text: str, cameras: list[str]) -> dict[str, str]:
    """Return camera to topic from an argument as iss.launch.py takes it; raises ValueError when they do not pair up."""
    topics = [topic.strip() for topic in text.split(",")]
    if len(topics) == 1 and "{camera}" in topics[0]:
        return {camera: topics[0].replace("{camera}", camera) for camera in cameras}
    if len(topics) != len(cameras) or not all(topics):
        raise ValueError(f"{argument} must name one topic for each of the cameras {cameras}, got '{text}'")
    return dict(zip(cameras, topics, strict=True))
