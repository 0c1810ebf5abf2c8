# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node that acts: the managed node with an acting pipeline."""

from __future__ import annotations

from vla_iss_ros.ros.acting import ActingPipeline
from vla_iss_ros.ros.managed_node import ManagedNode
from vla_iss_ros.settings import BY_NAME

SETTINGS = (
    "policy",
    "device",
    "gpu_memory_fraction",
    "allow_pickle",
    "allow_remote_code",
    "allow_unshared_noise",
    "cameras",
    "image_transport",
    "camera_transports",
    "contract",
    "missing_camera",
    "missing_camera_after",
    "image_reliability",
    "sync_slop",
    "instruction",
    "state_names",
    "state_unit",
    "action_type",
    "seed",
    "autostart",
    "hang_timeout",
)


class PolicyNode(ManagedNode):
    """Answers the newest frame with an action chunk, as often as frames come."""

    def __init__(self) -> None:
        super().__init__("policy_node", [BY_NAME[name] for name in SETTINGS], ActingPipeline)
