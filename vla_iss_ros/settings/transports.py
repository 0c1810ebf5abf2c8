# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The setting camera_transports."""

from __future__ import annotations

from collections.abc import Sequence

TRANSPORTS = ("raw", "compressed")


def camera_transports(text: str, cameras: Sequence[str], otherwise: str) -> dict[str, str]:
    """Return the transport of every camera from ``front=raw, wrist=compressed``; ``otherwise`` for those not named.

    Raises ValueError for an unknown camera or transport.
    """
    chosen = dict.fromkeys(cameras, otherwise)
    for item in filter(None, (part.strip() for part in text.split(","))):
        camera, _, transport = (part.strip() for part in item.partition("="))
        if camera not in chosen or transport not in TRANSPORTS:
            raise ValueError(
                f"camera_transports must be like 'front=raw, wrist=compressed' with cameras of "
                f"{', '.join(cameras)}, got '{item}'"
            )
        chosen[camera] = transport
    return chosen
