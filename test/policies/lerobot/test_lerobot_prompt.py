# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Prompts taken apart by hand."""

import pytest

from vla_iss_ros.iss.tokens import INSTRUCTION, STATE, TEMPLATE
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.lerobot.prompt import (
    label_tokens,
    pi05_parts,
    plain_parts,
    text_segments,
    words_of,
)

PROMPT = "Task: pick up, State: 12 -1;\nAction: "


def split(text, pieces):
    """Return the offsets of neighbouring pieces that make the text."""
    offsets, start = [], 0
    for piece in pieces:
        offsets.append((start, start + len(piece)))
        start += len(piece)
    assert "".join(pieces) == text
    return offsets


def test_a_plain_prompt_is_the_instruction_and_a_lines_end():
    text = " red cube\n"
    parts = plain_parts(text)
    assert words_of(text, parts) == ("red", "cube")
    # The beginning of the sequence has no characters; a token of spaces alone belongs to the word after it.
    offsets = [(0, 0), *split(text, [" r", "ed", " ", "cu", "be", "\n"])]
    labels = label_tokens(text, parts, offsets)
    assert labels == [(TEMPLATE, -1), *[(INSTRUCTION, word) for word in (0, 0, 1, 1, 1)], (TEMPLATE, -1)]
    before, words, after = text_segments(labels, words_of(text, parts), 10)
    assert (before.kind, before.start, before.stop) == (TEMPLATE, 10, 11)
    assert (words.words, words.word_of, words.start) == (("red", "cube"), (0, 0, 1, 1, 1), 11)
    assert (after.start, after.stop) == (16, 17)


def test_the_prompt_of_pi05_has_five_segments():
    parts = pi05_parts(PROMPT)
    assert words_of(PROMPT, parts) == ("pick", "up")
    pieces = ["Task", ":", " pick", " up", ",", " State", ":", " 1", "2", " ", "-1", ";\n", "Action", ": "]
    labels = label_tokens(PROMPT, parts, split(PROMPT, pieces))
    segments = text_segments(labels, words_of(PROMPT, parts), 0)
    assert [(segment.kind, segment.start, segment.stop) for segment in segments] == [
        (TEMPLATE, 0, 2),
        (INSTRUCTION, 2, 4),
        (TEMPLATE, 4, 7),
        (STATE, 7, 11),
        (TEMPLATE, 11, 14),
    ]


def test_an_instruction_may_hold_words_of_the_template():
    text = "Task: say, State: 3;\nAction: now, State: 7;\nAction: "
    parts = pi05_parts(text)
    assert words_of(text, parts) == ("say,", "State:", "3;", "Action:", "now")
    assert text[parts[1].start : parts[1].stop] == "7"


def test_another_prompt_is_refused():
    with pytest.raises(PolicyError, match=r"the prompt of pi05 must be 'Task: .*got 'pick up'"):
        pi05_parts("pick up")


def test_words_that_were_cut_off_are_left_out():
    text = "pick up the cube"
    parts = plain_parts(text)
    labels = label_tokens(text, parts, split("pick up", ["pick", " up"]))
    (segment,) = text_segments(labels, words_of(text, parts), 0)
    assert segment.words == ("pick", "up")


def test_an_instruction_of_spaces_has_no_part():
    assert plain_parts(" \n") == ()
