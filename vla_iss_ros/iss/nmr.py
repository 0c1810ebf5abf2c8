# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""NMR@k: the share of the most salient positions that lie on nuisance (arXiv 2605.00321, section 4).

Relatives in print: TopKIntersection (Theiner et al., 2022) and RelevanceMassAccuracy (Arras et al., 2022), both in
Quantus. NMR says where the policy looks, not whether it succeeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

PERCENTS = (5, 10, 20, 30, 50)


@dataclass(frozen=True)
class NuisanceMassRatio:
    """NMR@``percent`` with what is needed to read it.

    ``low`` and ``high``: the values that what is known of the map's errors allows (see :func:`draw_intervals` and
    :func:`band_intervals`); NaN where that is unknown. ``chance``: the nuisance area's share, the value of a map that
    ranks at random. ``floor``: the least value in reach, above 0 where act and sup are smaller than the top
    positions. ``per_view``: NaN for a view without a top position. ``reason``: why ``value`` is NaN, else empty.
    """

    percent: int
    value: float
    low: float = math.nan
    high: float = math.nan
    chance: float = math.nan
    floor: float = math.nan
    per_view: dict[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class MapDraws:
    """Maps that may be the true one, at a common size a x b that may be coarser than that of the reported maps.

    ``centre`` float [V, a, b]: the reported maps, brought to that size in the way the draws were. ``draws`` float
    [S, V, a, b]: S draws from what is known of the maps, already as wide as they ought to be; nothing here widens
    them. Raises ValueError on other shapes and without any draw.
    """

    centre: Tensor
    draws: Tensor

    def __post_init__(self) -> None:
        if self.centre.ndim != 3 or self.draws.shape[1:] != self.centre.shape or not len(self.draws):
            raise ValueError(
                "draws must be [S, V, a, b] with S > 0 and their centre [V, a, b], got "
                f"{list(self.draws.shape)} and {list(self.centre.shape)}"
            )


def undefined(percents: Iterable[int], reason: str) -> dict[int, NuisanceMassRatio]:
    """Return NaN for every k, with the reason."""
    return {percent: NuisanceMassRatio(percent, math.nan, reason=reason) for percent in percents}


def top_membership(values: Tensor, count: int) -> Tensor:
    """Return how far each of ``values`` [P] is among the ``count`` largest, float64 [P], summing to ``count``.

    1 above the threshold, 0 below; positions tied at the threshold share what is left.
    """
    return _membership(values, values.kthvalue(len(values) - count + 1).values, count)


def _membership(values: Tensor, threshold: Tensor, count: int) -> Tensor:
    above, tied = values > threshold, values == threshold
    share = (count - above.sum()).double() / tied.sum()
    return above.double() + tied.double() * share


def nuisance_mass_ratios(
    maps: Tensor,
    nuisance: Tensor,
    cameras: Sequence[str],
    percents: Iterable[int] = PERCENTS,
    standard_errors: Tensor | None = None,
    comparisons: int = 1,
    draws: MapDraws | None = None,
) -> dict[int, NuisanceMassRatio]:
    """Return NMR@k for every k in ``percents``, positions ranked over all views jointly.

    ``maps`` float [V, h, w]: saliency of every view at one common size. ``nuisance`` float [V, h, w]: share of each
    position that is nuisance. The interval comes from ``draws`` where there are some (:func:`draw_intervals`), else
    from ``standard_errors`` [V, h, w] of the map, from ``comparisons`` cells (:func:`band_intervals`). A map that is
    constant or not finite ranks nothing: NaN with a reason. Raises ValueError on other shapes and on a k outside
    (0, 100). NMR says where the policy looks, not whether it succeeds.
    """
    percents = tuple(percents)
    _check(maps, nuisance, cameras, percents, draws)
    if not torch.isfinite(maps).all():
        return undefined(percents, "the saliency map has cells that were never measured")
    if bool(maps.max() == maps.min()):
        return undefined(
            percents, "the saliency map is constant: no replaced cell moved the action differently"
        )
    values, shares = maps.double().cpu().flatten(), nuisance.double().cpu()
    share = shares.flatten()
    counts = _counts(percents, len(values))
    ordered = _ascending(values)
    members = [_membership(values, ordered[-count], count) for count in counts]
    ratios = [float((member * share).sum() / count) for member, count in zip(members, counts, strict=True)]
    if draws is not None:
        intervals = draw_intervals(draws, shares, ratios, percents)
    else:
        intervals = band_intervals(values, standard_errors, share, counts, comparisons)
    return {
        percent: NuisanceMassRatio(
            percent=percent,
            value=ratios[index],
            low=intervals[index][0],
            high=intervals[index][1],
            chance=float(share.mean()),
            floor=max(0.0, 1 - float((1 - share).sum()) / counts[index]),
            per_view=_per_view(members[index].view_as(shares), shares, cameras),
        )
        for index, percent in enumerate(percents)
    }


def _check(
    maps: Tensor, nuisance: Tensor, cameras: Sequence[str], percents: Sequence[int], draws: MapDraws | None
) -> None:
    if maps.shape != nuisance.shape or len(cameras) != len(maps):
        raise ValueError(
            f"maps and nuisance must be [V, h, w] of {len(cameras)} views, got {list(maps.shape)} and "
            f"{list(nuisance.shape)}"
        )
    for percent in percents:
        if not 0 < percent < 100:
            raise ValueError(f"k of NMR@k must be in (0, 100) percent, got {percent}")
    if draws is not None and len(draws.centre) != len(maps):
        raise ValueError(f"draws must be of the maps' {len(maps)} views, got {len(draws.centre)}")


def _counts(percents: Iterable[int], total: int) -> list[int]:
    return [math.ceil(percent / 100 * total) for percent in percents]


def _ascending(values: Tensor) -> Tensor:
    """Return ``values`` sorted along the last dimension; NumPy sorts many times faster where no order is asked for."""
    return torch.from_numpy(np.sort(values.numpy(), axis=-1))


def _per_view(member: Tensor, nuisance: Tensor, cameras: Sequence[str]) -> dict[str, float]:
    result = {}
    for camera, inside, share in zip(cameras, member, nuisance, strict=False):
        mass = float(inside.sum())
        result[camera] = float((inside * share).sum()) / mass if mass > 0 else math.nan
    return result


def band_intervals(
    values: Tensor,
    standard_errors: Tensor | None,
    nuisance: Tensor,
    counts: Sequence[int],
    comparisons: int,
    level: float = 0.95,
) -> list[tuple[float, float]]:
    """Return, for every top ``count``, the least and greatest NMR that simultaneous bands on the map allow.

    ``values`` and ``nuisance`` float64 [P], on the host. Every position's value is taken to lie within a band whose
    width covers all ``comparisons`` cells at once (Bonferroni, normal quantile). Positions that are in the top
    ``count`` whatever the bands' values are, stay; the rest of the top is filled from the positions that can be in
    it, once with the least and once with the greatest nuisance share. So the ends are worst cases, not quantiles: the
    interval is conservative, often by far, and its middle means nothing. (NaN, NaN) without finite standard errors.
    """
    if standard_errors is None or not torch.isfinite(standard_errors).all():
        return [(math.nan, math.nan)] * len(counts)
    quantile = NormalDist().inv_cdf(1 - (1 - level) / (2 * comparisons))
    width = quantile * standard_errors.double().cpu().flatten()
    lower, upper = values - width, values + width
    lowest, highest = _ascending(lower), _ascending(upper)
    order = torch.from_numpy(np.argsort(nuisance.numpy()))
    ascending = nuisance[order]
    intervals = []
    for count in counts:
        # At most `count` upper ends reach it, its own among them.
        sure = (
            lower > highest[-count - 1] if count < len(values) else torch.ones_like(lower, dtype=torch.bool)
        )
        # Fewer than `count` lower ends lie above it.
        possible = (upper >= lowest[-count]) & ~sure
        ranked = ascending[possible[order]]
        fixed = float(nuisance[sure].sum())
        missing = min(count - int(sure.sum()), len(ranked))
        low = (fixed + float(ranked[:missing].sum())) / count
        high = (fixed + float(ranked[len(ranked) - missing :].sum())) / count
        intervals.append((low, high))
    return intervals


def draw_intervals(
    draws: MapDraws, nuisance: Tensor, ratios: Sequence[float], percents: Sequence[int]
) -> list[tuple[float, float]]:
    """Return, for every k, the range of NMR@k over the draws, moved to belong to the reported ``ratios``.

    ``nuisance`` float64 [V, h, w] is area-averaged to the draws' size. The middle 95 % of the draws' NMR is one
    range. A noisy map's NMR drifts towards chance: each draw, noisier than the map it was drawn from, has drifted
    once more than that map, and that map once more than the truth. So the same range is moved against the drift, until
    its mean lies as far beyond the centre's NMR as the draws fell behind it, and everything between the two is taken
    in. What lies between the centre's NMR and the reported one, the coarser size, is then added; the result is cut to
    [0, 1] and always holds the reported value. (NaN, NaN) where the draws are not finite.

    It is as good as the draws: errors that they do not know (another grid, other donors, a prior that does not fit)
    are not in it, it holds for one k at a time, and it says nothing of other frames.
    """
    rows = torch.cat([draws.centre[None], draws.draws]).cpu().flatten(1)
    if not torch.isfinite(rows).all():
        return [(math.nan, math.nan)] * len(ratios)
    share = functional.interpolate(nuisance[None], size=draws.centre.shape[1:], mode="area").flatten()
    found = _top_shares(rows, share, _counts(percents, len(share)))
    centre, each = found[0], found[1:]
    low, high = each.quantile(torch.tensor([0.025, 0.975], dtype=each.dtype), dim=0)
    drift = centre - each.mean(0)
    value = torch.tensor(ratios, dtype=each.dtype)
    least = (value + torch.minimum(low, low + 2 * drift) - centre).clamp(0, 1)
    most = (value + torch.maximum(high, high + 2 * drift) - centre).clamp(0, 1)
    return list(zip(torch.minimum(least, value).tolist(), torch.maximum(most, value).tolist(), strict=True))


def _top_shares(rows: Tensor, share: Tensor, counts: Sequence[int]) -> Tensor:
    """Return the mean ``share`` [P] over the top of each of ``rows`` [S, P], for every count, float64 [S, K].

    Positions tied at the threshold are all taken in.
    """
    ordered, single = _ascending(rows), share.float()
    top = torch.empty(
        rows.shape
    )  # one for all counts: new memory would cost more than what is computed in it
    means = []
    for count in counts:
        torch.ge(rows, ordered[:, -count, None], out=top)
        means.append((top @ single).double() / top.sum(1))
    return torch.stack(means, 1)
