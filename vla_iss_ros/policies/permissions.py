# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a user has to allow by name before a policy may do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Permissions:
    """Everything is refused unless allowed.

    ``pickle``: load files whose loader unpickles, and so runs whatever code they hold. ``remote_code``: run Python
    files that lie in a policy's directory. ``unshared_noise``: take a stochastic policy that cannot be given its
    sampling noise; its own spread is then in every number.
    """

    pickle: bool = False
    remote_code: bool = False
    unshared_noise: bool = False

    @classmethod
    def of(cls, settings: Any) -> Permissions:
        """Return what the settings ``allow_pickle``, ``allow_remote_code`` and ``allow_unshared_noise`` say."""
        return cls(settings.allow_pickle, settings.allow_remote_code, settings.allow_unshared_noise)
