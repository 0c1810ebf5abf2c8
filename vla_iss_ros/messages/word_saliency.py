# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Saliency of the instruction's words as a std_msgs/String of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from vla_iss_ros.iss.words import WordSaliency


def encode_words(words: Sequence[WordSaliency], stamp: int, method: str, kind: Any) -> Any:
    """Return a message ``kind`` (std_msgs/String) of JSON.

    Keys: ``stamp`` in ns, ``method`` in words, and ``words``: objects of word, contrast and standard_error, in the
    order of the instruction and in units of delta; null where a number is unknown.
    """
    rows = [
        {
            "word": each.word,
            "contrast": _number(each.contrast),
            "standard_error": _number(each.standard_error),
        }
        for each in words
    ]
    return kind(data=json.dumps({"stamp": stamp, "method": method, "words": rows}, ensure_ascii=False))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
