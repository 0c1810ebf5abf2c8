# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Instructions from strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from message_factory import String

from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.instructions import instruction_from_string
from vla_iss_ros.settings.instruction import LONGEST


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("press the button", "press the button"),
        ("  press\tthe\r\nbutton \n", "press the button"),
        ("", ""),
        (" \n ", ""),
        ("drück den Knopf 🙂", "drück den Knopf 🙂"),
        ("x" * LONGEST, "x" * LONGEST),
    ],
)
def test_white_space_is_made_one_space(text, wanted):
    assert instruction_from_string(String(data=text)) == wanted


@pytest.mark.parametrize(
    ("text", "reason", "shown"),
    [
        ("x" * (LONGEST + 1), "too long", "at most 4096 characters, got 4097"),
        ("go\x07home", "control character", r"'\\x07' at position 2"),
        ("go\x1b[31m", "control character", r"'\\x1b' at position 2"),
        ("\ud800", "control character", "position 0"),
        (b"bytes", "wrong type", "must be text, got bytes"),
    ],
)
def test_bad_instructions_are_refused(text, reason, shown):
    with pytest.raises(MessageError, match=shown) as caught:
        instruction_from_string(String(data=text))
    assert caught.value.reason == reason


@given(st.text(max_size=5000))
def test_no_text_crashes_or_leaves_control_characters(text):
    try:
        instruction = instruction_from_string(String(data=text))
    except MessageError:
        return
    assert "\n" not in instruction
    assert instruction == instruction.strip()
    assert instruction_from_string(String(data=instruction)) == instruction
