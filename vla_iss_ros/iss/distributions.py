# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a policy says of its action besides the chunk itself, so that distributions can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ReferencePath:
    """Where the action distributions of all rows are compared, taken from the unperturbed observation.

    ``points``: flow and ddpm: float32 [1, S, T, A], the noisy actions at which every row's velocity or mean is asked
    for; categorical: int64 [1, K], the greedy action tokens that all rows are forced along. ``times``: flow: float32
    [S], t of the points, 1 is noise, and none below the policy's own least step; others: None.
    """

    points: Tensor
    times: Tensor | None = None


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions; ``mean`` and ``variance`` float32 [N, ...], normalised action units."""

    mean: Tensor
    variance: Tensor

    def take(self, rows: slice) -> Gaussian:
        """Return those of some rows, float32."""
        return Gaussian(self.mean[rows].float(), self.variance[rows].float())

    def __post_init__(self) -> None:
        if self.mean.shape != self.variance.shape:
            raise ValueError(
                f"mean and variance must have one shape, got {list(self.mean.shape)} and {list(self.variance.shape)}"
            )


@dataclass(frozen=True)
class Categorical:
    """Distributions of K action tokens over B bins each, conditional on the reference path's tokens before.

    ``logits`` float32 [N, K, B], of the bins alone; any constant may be added to a row.
    """

    logits: Tensor

    def take(self, rows: slice) -> Categorical:
        """Return those of some rows, float32."""
        return Categorical(self.logits[rows].float())


@dataclass(frozen=True)
class Velocities:
    """A flow's velocities dx/dt at the points of a reference path, on x_t = t noise + (1 - t) action.

    ``values`` float32 [N, S, T, A]; ``times`` float32 [S], falling from 1, all above 0; ``widths`` float32 [S], the
    share of [0, 1] that each of them stands for.
    """

    values: Tensor
    times: Tensor
    widths: Tensor

    def take(self, rows: slice) -> Velocities:
        """Return those of some rows, float32."""
        return Velocities(self.values[rows].float(), self.times, self.widths)

    def __post_init__(self) -> None:
        steps = self.values.shape[1]
        if self.times.shape != (steps,) or self.widths.shape != (steps,):
            raise ValueError(
                f"times and widths must be [{steps}], got {list(self.times.shape)} and {list(self.widths.shape)}"
            )
        if bool((self.times <= 0).any()) or bool((self.times > 1).any()):
            raise ValueError(
                f"times must be in (0, 1], got {self.times.tolist()}; the weight grows without bound at 0"
            )


@dataclass(frozen=True)
class DenoisingMeans:
    """Means of a DDPM's steps at the points of a reference path.

    ``values`` float32 [N, S, T, A]; ``variances`` float32 [S], above 0: those of the steps that draw noise.
    """

    values: Tensor
    variances: Tensor

    def take(self, rows: slice) -> DenoisingMeans:
        """Return those of some rows, float32."""
        return DenoisingMeans(self.values[rows].float(), self.variances)

    def __post_init__(self) -> None:
        if self.variances.shape != (self.values.shape[1],) or bool((self.variances <= 0).any()):
            raise ValueError(
                f"variances must be [{self.values.shape[1]}] and above 0, got {self.variances.tolist()}; leave out "
                "steps that draw no noise"
            )


Distribution = Gaussian | Categorical | Velocities | DenoisingMeans
KINDS: dict[str, type] = {
    "gaussian": Gaussian,
    "categorical": Categorical,
    "flow": Velocities,
    "ddpm": DenoisingMeans,
}


def euler_widths(times: Tensor) -> Tensor:
    """Return what each of the falling ``times`` stands for when Euler steps lead to the next one and last to 0, [S]."""
    return times - torch.cat([times[1:], times.new_zeros(1)])
