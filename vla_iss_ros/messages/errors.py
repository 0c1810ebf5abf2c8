# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The one error that bad messages raise."""

from __future__ import annotations


class MessageError(ValueError):
    """A message that cannot be used; its text is one line that names the offending value.

    ``reason`` names the kind of fault in a word or two, for counting.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
