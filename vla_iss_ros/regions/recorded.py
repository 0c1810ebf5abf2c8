"""Where the label images of recorded frames come from, when not from a topic of the recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class LabelReader(Protocol):
    """Gives label images of recorded frames; a frozen, picklable object that other processes can use.

    Raises RegionError, in one line, for what cannot be used.
    """

    def labels(self, cameras: Sequence[str], stamp: int) -> Mapping[str, np.ndarray]:
        """Return the label images of an instant, camera to uint8 or uint16 [H, W]; cameras without one are absent."""

    def describe(self) -> dict[str, Any]:
        """Return what to keep of it for people and for resuming, as JSON, with a ``fingerprint`` of its files."""
