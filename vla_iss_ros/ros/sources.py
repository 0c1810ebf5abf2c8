# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The topics of a node: the contract's where there is one, else its own names and what the parameters say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_iss_ros.messages.contracts import ContractError, read_contract
from vla_iss_ros.messages.sources import JOINT_STATE, ImageSource, StateSource
from vla_iss_ros.settings.transports import camera_transports

INSTRUCTION = "~/input/instruction"


@dataclass(frozen=True)
class Sources:
    """Where everything comes from; label images and commands have the node's own names always."""

    images: Mapping[str, ImageSource]
    state: tuple[StateSource, ...]
    instruction: str


def sources_of(settings: Any) -> Sources:
    """Return the sources that ``settings`` ask for; raises ValueError for a contract that does not fit them."""
    if settings.contract:
        return _of_contract(settings)
    transports = camera_transports(settings.camera_transports, settings.cameras, settings.image_transport)
    images = {
        camera: ImageSource(f"~/input/{camera}/image", transport == "compressed")
        for camera, transport in transports.items()
    }
    selectors = tuple(f"position.{name}" for name in settings.state_names)
    state = StateSource("~/input/joint_states", JOINT_STATE, selectors, settings.state_unit == "deg")
    return Sources(images, (state,) if selectors else (), INSTRUCTION)


def _of_contract(settings: Any) -> Sources:
    path = Path(settings.contract).expanduser()
    contract = read_contract(path)
    try:
        images = {camera: contract.image(camera) for camera in settings.cameras}
    except ContractError as error:
        raise ContractError(f"contract '{path}': {error}; the parameter cameras names it") from None
    return Sources(images, contract.state, contract.instruction or INSTRUCTION)
