# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an estimator takes along from one frame to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """Samples of earlier frames, and what was learned from them.

    ``replaced`` bool [n, C], ``pictures`` int64 [n], ``moves`` float32 [n, TA], ``times`` float64 [n], in frames, 0 the
    frame to come and negative before. ``values``: hyperparameters, float64.
    """

    replaced: Tensor
    pictures: Tensor
    moves: Tensor
    times: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.replaced)

    def aged(self, frames: float) -> Memory:
        """Return the memory with everything ``frames`` older."""
        return replace(self, times=self.times - frames)

    @classmethod
    def of(cls, replaced: Tensor, pictures: Tensor, moves: Tensor, values: Tensor, most: int) -> Memory:
        """Return a memory of the last ``most`` samples of one frame."""
        times = torch.zeros(len(replaced), dtype=torch.float64)
        # Copies: slices would keep every sample of the frame alive.
        replaced, pictures, moves, times = (
            column[-most:].clone() for column in (replaced, pictures, moves, times)
        )
        return cls(replaced, pictures, moves, times, values)

    def joined(self, replaced: Tensor, pictures: Tensor, moves: Tensor, values: Tensor, most: int) -> Memory:
        """Return the last ``most`` samples of the memory and of the frame, under what was learned by then."""
        frame = Memory.of(replaced, pictures, moves, values, most)
        return Memory(
            torch.cat([self.replaced, frame.replaced])[-most:],
            torch.cat([self.pictures, frame.pictures])[-most:],
            torch.cat([self.moves, frame.moves])[-most:],
            torch.cat([self.times, frame.times])[-most:],
            values,
        )
