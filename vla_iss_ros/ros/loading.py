# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The policy of a node, loaded and held against the settings."""

from __future__ import annotations

from typing import Any

from vla_iss_ros.messages.sources import state_names
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import choose_device, load_policy
from vla_iss_ros.policies.permissions import Permissions
from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.ros.gpu_memory import limit_gpu_memory
from vla_iss_ros.ros.sources import sources_of


def load_fitting_policy(settings: Any) -> Policy:
    """Return the policy that ``settings`` name; raises PolicyError when cameras or state do not fit it."""
    limit_gpu_memory(settings.gpu_memory_fraction, choose_device(settings.device))
    policy = load_policy(settings.policy, settings.device, Permissions.of(settings))
    wanted, given = policy.spec.camera_names, settings.cameras
    if set(wanted) != set(given):
        raise PolicyError(
            f"policy '{policy.spec.name}' takes the cameras {', '.join(wanted)}; "
            f"the parameter cameras names {', '.join(given)}"
        )
    count = len(policy.spec.state_names)
    named = state_names(sources_of(settings).state)
    if count and count != len(named):
        raise PolicyError(
            f"policy '{policy.spec.name}' takes a state of {count} numbers, got {len(named)} "
            f"state_names: {', '.join(name.removeprefix('position.') for name in named)}"
        )
    return policy
