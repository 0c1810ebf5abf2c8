# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Topics and state of recordings from a rosetta contract, as the parameter ``contract`` names one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_iss_ros.messages.contracts import ContractError, read_contract
from vla_iss_ros.messages.sources import JOINT_STATE


def read_contract_topics(path: Path, cameras: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (settings, topics) that a contract gives, as ``read_parameters`` does.

    Raises ContractError where it asks for what recordings are not read with: images of another size, and a state that
    is not the positions of one JointState.
    """
    contract = read_contract(path)
    images = {camera: contract.image(camera) for camera in cameras}
    resized = [camera for camera, image in images.items() if image.size is not None]
    if resized:
        raise ContractError(
            f"contract '{path}' resizes camera '{resized[0]}', which only the nodes do; leave that out"
        )
    topics = {"image_topics": ",".join(image.topic for image in images.values())}
    if contract.instruction:
        topics["instruction_topic"] = contract.instruction
    if not contract.state:
        return {}, topics
    source, *others = contract.state
    names = [selector.removeprefix("position.") for selector in source.selectors]
    if others or source.type_name != JOINT_STATE or any("." in name for name in names):
        raise ContractError(
            f"contract '{path}' makes the state of more than the positions of one JointState, which only the nodes do; "
            "name the topics with options instead"
        )
    topics["state_topic"] = source.topic
    return {"state_names": names, "state_unit": "deg" if source.degrees else "rad"}, topics
