"""Instructions from std_msgs/String."""

from __future__ import annotations

import unicodedata
from typing import Any

from vla_iss_ros.messages.errors import MessageError

LONGEST = 4096
_REFUSED = ("Cc", "Cs")  # control characters and half surrogates


def instruction_from_string(message: Any) -> str:
    """Return the instruction of a std_msgs/String, every run of white space (line breaks too) as one space.

    An empty instruction is returned as "". Raises MessageError for more than 4096 characters and for control
    characters: a policy's tokeniser would read them, and people would not see them.
    """
    text = message.data
    if not isinstance(text, str):
        raise MessageError("wrong type", f"instruction must be text, got {type(text).__name__}")
    if len(text) > LONGEST:
        raise MessageError(
            "too long",
            f"instruction must have at most {LONGEST} characters, got {len(text)}: {text[:40]!r}...",
        )
    text = " ".join(text.split())
    for position, character in enumerate(text):
        if unicodedata.category(character) in _REFUSED:
            raise MessageError(
                "control character",
                f"instruction holds the control character {character!r} at position {position}",
            )
    return text
