# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Settings and topics from the parameter file of the nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_iss_ros.settings import BY_NAME
from vla_iss_ros.settings.parameter_files import parameters_of
from vla_iss_ros.settings.shown import shown

NODE = "/iss_node"
# Arguments of launch/iss.launch.py that name topics; analyze_bag reads them from a file as well.
TOPICS = ("image_topics", "region_topics", "instruction_topic", "state_topic", "episode_topic")


def read_parameters(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (settings, topics) that a ROS parameter file gives ``/iss_node``, by the rules of rcl.

    ``topics``: those of ``TOPICS``, as the arguments of iss.launch.py. Settings that no recording has a use for are
    read like all others. Raises ValueError in one line for a file of another form or an unknown parameter.
    """
    values = parameters_of(path, NODE)
    if not values:
        raise ValueError(
            f"'{path}' has no ros__parameters for a node {NODE}, such as under '/**'; see config/iss.yaml"
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


def topic_of_each_camera(argument: str, text: str, cameras: list[str]) -> dict[str, str]:
    """Return camera to topic from an argument as iss.launch.py takes it; raises ValueError when they do not pair up."""
    topics = [topic.strip() for topic in text.split(",")]
    if len(topics) == 1 and "{camera}" in topics[0]:
        return {camera: topics[0].replace("{camera}", camera) for camera in cameras}
    if len(topics) != len(cameras) or not all(topics):
        raise ValueError(f"{argument} must name one topic for each of the cameras {cameras}, got '{text}'")
    return dict(zip(cameras, topics, strict=True))
