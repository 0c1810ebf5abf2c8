# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
import math
from types import SimpleNamespace

from vla_iss_ros.iss.words import WordSaliency
from vla_iss_ros.messages.word_saliency import encode_words


def test_words_with_numbers_and_unknown_ones_as_null():
    words = (
        WordSaliency("press", 0.5, 0.1),
        WordSaliency("größer", 0.25),
        WordSaliency("x", math.nan, math.inf),
    )
    message = encode_words(words, 7, "ISS", lambda data: SimpleNamespace(data=data))
    assert json.loads(message.data) == {
        "stamp": 7,
        "method": "ISS",
        "words": [
            {"word": "press", "contrast": 0.5, "standard_error": 0.1},
            {"word": "größer", "contrast": 0.25, "standard_error": None},
            {"word": "x", "contrast": None, "standard_error": None},
        ],
    }
    assert "größer" in message.data
