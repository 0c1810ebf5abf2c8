# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How alike the policy's answers to two interventions are expected to be: the kernel behind the emulator.

An intervention is a set of replaced cells (a coalition) and the baseline picture that they show. Answers are alike
when the interventions share cells that matter, and when their pictures change those cells alike. With nothing
replaced nothing moves, so the kernel is 0 there.

With z, z' the replaced cells, d, d' the pictures and t, t' the frames:

    s = sum_c z_c z'_c w_c^2 (h_cd h_cd')^e (a + (1 - a) (b r_cdd' + (1 - b) [d = d']))
    k = (exp(g s) - 1) / g * exp(-v |t - t'|)

h is how far a picture changes a cell, r how alike two pictures do. Weights w, exponent e, shares a and b, interaction
g and drift v are learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor
from torch.nn.functional import one_hot

LEAST_CHANGE = 1e-3  # relative to the mean change: a cell that hardly changes keeps a little weight
LARGEST_EXPONENT = 1.5
LENGTH_SCALE = 1.5  # cells, over which weights of neighbours are alike
NUGGET = 0.05
WEIGHT_DEVIATION = 0.7  # of a cell's log weight
VIEW_DEVIATION = 1.5  # of a view's


@dataclass(frozen=True)
class Interventions:
    """N interventions, sorted by picture.

    ``replaced`` float64 [N, C] of 0 and 1, ``pictures`` int64 [N], ``times`` float64 [N], in frames.
    """

    replaced: Tensor
    pictures: Tensor
    times: Tensor

    @classmethod
    def sort(cls, replaced: Tensor, pictures: Tensor, times: Tensor) -> tuple[Interventions, Tensor]:
        """Return the interventions in order of their pictures, and that order, int64 [N]."""
        order = pictures.argsort(stable=True)
        return cls(replaced[order].double(), pictures[order], times[order].double()), order

    def __len__(self) -> int:
        return len(self.replaced)

    def chunks(self, most: int) -> list[Interventions]:
        """Return the interventions in order, at most ``most`` at a time."""
        if len(self) <= most:
            return [self]
        columns = (each.split(most) for each in (self.replaced, self.pictures, self.times))
        return [Interventions(*each) for each in zip(*columns, strict=True)]

    @cached_property
    def parts(self) -> list[tuple[int, slice]]:
        """Every picture that is used, with its rows."""
        pictures, counts = self.pictures.unique_consecutive(return_counts=True)
        ends = counts.cumsum(0)
        rows = zip((ends - counts).tolist(), ends.tolist(), strict=True)
        return [(picture, slice(*row)) for picture, row in zip(pictures.tolist(), rows, strict=True)]

    @cached_property
    def apart(self) -> Tensor:
        """Frames between each two of them, [N, N]."""
        return (self.times[:, None] - self.times).abs_()

    @cached_property
    def still(self) -> bool:
        """Whether all are of one frame."""
        return bool((self.times == self.times[:1]).all())


@dataclass(frozen=True)
class Surface:
    """What is known of the cells before the policy is asked.

    ``correlation`` [C, D, D]: how alike two pictures change a cell, 1 on the diagonal. ``log_change`` [C, D]: how far
    a picture changes a cell, relative to the mean. ``field`` [C, C + V]: takes independent numbers to log weights of
    the cells, smooth over a view, and shifts of whole views.
    """

    correlation: Tensor
    log_change: Tensor
    field: Tensor

    @property
    def pictures(self) -> int:
        """Baseline pictures that there are."""
        return self.correlation.shape[1]

    @classmethod
    def of(cls, products: Tensor, positions: Tensor | None) -> Surface:
        """Return the surface of cells at ``positions`` int [C, 3], view, row and column.

        ``products`` [C, D, D]: mean product of the changes that two pictures bring to a cell's pixels.
        """
        products = products.double()
        change = products.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
        mean = change.mean()
        relative = change / mean if mean > 0 else torch.ones_like(change)
        scale = change.clamp_min(1e-9)
        correlation = products / (scale[:, :, None] * scale[:, None, :])
        correlation.diagonal(dim1=1, dim2=2).fill_(1)
        return cls(correlation, relative.clamp_min(LEAST_CHANGE).log(), _field(len(products), positions))


def _field(cells: int, positions: Tensor | None) -> Tensor:
    if positions is None:
        return WEIGHT_DEVIATION * torch.eye(cells, dtype=torch.float64)
    return _smooth_field(tuple(map(tuple, positions.tolist())))


@lru_cache(8)  # frame after frame has the same cells
def _smooth_field(positions: tuple[tuple[int, ...], ...]) -> Tensor:
    with torch.inference_mode(False):
        view, place = torch.tensor(positions)[:, 0], torch.tensor(positions, dtype=torch.float64)[:, 1:]
        distance = (place[:, None] - place).square().sum(-1)
        covariance = torch.exp(-0.5 * distance / LENGTH_SCALE**2) * (view[:, None] == view)
        root = torch.linalg.cholesky(covariance + NUGGET * torch.eye(len(view), dtype=torch.float64))
        return torch.cat([WEIGHT_DEVIATION * root, VIEW_DEVIATION * one_hot(view).double()], 1)


SCALARS = ("exponent", "shared", "alike", "interaction", "noise", "drift")
# Prior mean and deviation of every scalar on the scale that is searched: a logistic one for exponent and the two
# shares, a logarithmic one for the others.
PRIOR_MEAN = torch.tensor([0.5, 0.0, 2.0, -1.0, -2.5, -3.0], dtype=torch.float64)
PRIOR_DEVIATION = torch.tensor([1.5, 1.5, 1.5, 1.0, 2.0, 1.0], dtype=torch.float64)
LARGEST = torch.tensor([6.0, 6.0, 6.0, 1.0, 4.0, 1.5], dtype=torch.float64)
SMALLEST = torch.tensor([-6.0, -6.0, -6.0, -6.0, -9.0, -8.0], dtype=torch.float64)


class CoalitionKernel:
    """The kernel over one surface.

    ``values`` float64 [C + V + 6]: hyperparameters as deviations from their prior means in units of their prior
    deviations: what ``Surface.field`` makes log weights of, then ``SCALARS``. ``probability`` of replacement.
    """

    def __init__(self, surface: Surface, values: Tensor, probability: float) -> None:
        self._surface, self.values, self.probability = surface, values, probability
        wanted = PRIOR_MEAN + PRIOR_DEVIATION * values[-len(SCALARS) :]
        scalars = wanted.clamp(SMALLEST, LARGEST)
        self._free = scalars == wanted
        share, self._shared, self._alike = scalars[:3].sigmoid().tolist()
        self._exponent_slope = LARGEST_EXPONENT * share * (1 - share)
        self._interaction, self.noise, self.drift = scalars[3:].exp().tolist()
        log_weight = surface.field @ values[: -len(SCALARS)]
        log_amplitude = log_weight[:, None] + LARGEST_EXPONENT * share * surface.log_change
        self._amplitude = log_amplitude.exp()  # [C, D]
        # One unit is what an intervention of the design is expected to have, so that noise and interaction have one.
        self._share = probability * self._amplitude.square().mean(1)
        self._unit = float(self._share.sum())
        self._share = self._share / self._unit
        self._same = torch.eye(surface.pictures, dtype=torch.float64)
        self._unlike = self._alike * surface.correlation + (1 - self._alike) * self._same
        self._mix = self._shared + (1 - self._shared) * self._unlike  # [C, D, D]

    @classmethod
    def prior_values(cls, surface: Surface) -> Tensor:
        """Return the hyperparameters' prior means."""
        return torch.zeros(surface.field.shape[1] + len(SCALARS), dtype=torch.float64)

    @property
    def weights(self) -> Tensor:
        """Mean over pictures of how far a cell is expected to move the answer, relative, float64 [C]."""
        return self._amplitude.mean(1) / self._unit**0.5

    def gram(self, left: Interventions, right: Interventions) -> Tensor:
        """Return k [n, m]."""
        return self.of_overlap(self.overlap(left, right), self.fading(left, right))

    def of_overlap(self, overlap: Tensor, fading: Tensor | None) -> Tensor:
        """Return k [n, m] where s is known, and how the answers fade."""
        # Not expm1: it takes several times as long, and s is never so small that the difference shows.
        kernel = (self._interaction * overlap).exp_().sub_(1).div_(self._interaction)
        return kernel if fading is None else kernel.mul_(fading)

    def fading(self, left: Interventions, right: Interventions) -> Tensor | None:
        """Return how much is left between answers of different frames, [n, m] or [1, m]; None where all is."""
        if left.still and right.still and bool(left.times[0] == right.times[0]):
            return None
        if left is right:
            return (left.apart * -self.drift).exp_()
        since = left.times[:1, None] if left.still else left.times[:, None]
        return (since - right.times).abs_().mul_(-self.drift).exp_()

    def overlap(self, left: Interventions, right: Interventions) -> Tensor:
        """Return s [n, m]."""
        result = torch.empty(len(left), len(right), dtype=torch.float64)
        for picture, rows in left.parts:
            torch.mm(left.replaced[rows], self._facing(picture, right).T, out=result[rows])
        return result

    def _facing(self, picture: int, right: Interventions) -> Tensor:
        """Return what every cell adds to s where it is replaced on the left from ``picture``, [m, C]."""
        pair = self._amplitude[:, picture, None] * self._amplitude * (self._mix[:, picture] / self._unit)
        # Whole rows: picking columns takes several times as long.
        return pair.T.contiguous()[right.pictures].mul_(right.replaced)

    def gradient(
        self, given: Interventions, kernel: Tensor, overlap: Tensor, fading: Tensor | None, outer: Tensor
    ) -> Tensor:
        """Return the gradient [C + V + 6] of a function by the hyperparameters.

        ``outer`` [n, n] is its gradient by ``kernel``, which is ``gram(given, given)``; ``overlap`` is s of the same,
        ``fading`` how they fade. The noise has no part in the kernel; its entry is 0.
        """
        by_kernel = outer * kernel
        # d k / d s is fading * exp(g s), and that is g k + fading.
        inner = torch.add(outer if fading is None else outer * fading, by_kernel, alpha=self._interaction)
        total, fades = float((inner * overlap).sum()), 0.0
        if fading is not None:
            fades = -self.drift * float((by_kernel * given.apart).sum())
        table = self._by_pictures(given, inner)
        mixed = table * self._mix
        share = (
            self._amplitude.square() / self._amplitude.square().sum(1, keepdim=True) * self._share[:, None]
        )
        by_amplitude = 2 * (mixed.sum(2) - total * share)  # [C, D], by the logarithm
        scalars = torch.tensor(
            [
                float((by_amplitude * self._surface.log_change).sum()) * self._exponent_slope,
                float((table * (1 - self._unlike)).sum()) * self._shared * (1 - self._shared),
                float((table * (self._surface.correlation - self._same)).sum())
                * ((1 - self._shared) * self._alike * (1 - self._alike)),
                total - float(by_kernel.sum()),
                0.0,
                fades,
            ],
            dtype=torch.float64,
        )
        field = self._surface.field.T @ by_amplitude.sum(1)
        return torch.cat([field, scalars * PRIOR_DEVIATION * self._free])

    def _by_pictures(self, given: Interventions, inner: Tensor) -> Tensor:
        """Return sums of ``inner`` over pairs that share a cell, by their two pictures, without the mix, [C, D, D]."""
        cells, count = self._amplitude.shape
        used = one_hot(given.pictures, count).double()
        table = torch.zeros(cells, count, count, dtype=torch.float64)
        turned = given.replaced.T.contiguous()
        for picture, rows in given.parts:
            table[:, picture] = ((turned[:, rows] @ inner[rows]) * turned) @ used
        return table * (self._amplitude[:, :, None] * self._amplitude[:, None, :] / self._unit)
