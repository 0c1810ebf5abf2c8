# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Instructions from std_msgs/String."""

from __future__ import annotations

from typing import Any

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.settings.instruction import instruction_problem, one_spaced


def instruction_from_string(message: Any) -> str:
    """Return the instruction of a std_msgs/String, every run of white space (line breaks too) as one space.

    An empty instruction is returned as "". Raises MessageError for more than 4096 characters and for control
    characters.
    """
    text = message.data
    if not isinstance(text, str):
        raise MessageError("wrong type", f"instruction must be text, got {type(text).__name__}")
    problem = instruction_problem(text)
    if problem is not None:
        raise MessageError(*problem)
    return one_spaced(text)
