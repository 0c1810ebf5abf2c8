"""NMR@k: the share of the most salient positions that lie on nuisance (arXiv 2605.00321, section 4).

Relatives in print: TopKIntersection (Theiner et al., 2022) and RelevanceMassAccuracy (Arras et al., 2022), both in
Quantus. NMR says where the policy looks, not whether it succeeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import torch
from torch import Tensor

PERCENTS = (5, 10, 20, 30, 50)


@dataclass(frozen=True)
class NuisanceMassRatio:
    """NMR@``percent`` with what is needed to read it.

    ``low`` and ``high``: the values that are compatible with the map's standard errors (see :func:`interval`); NaN
    where those are unknown. ``chance``: the nuisance area's share, the value of a map that ranks at random.
    ``floor``: the least value in reach, above 0 where act and sup are smaller than the top positions. ``per_view``:
    NaN for a view without a top position. ``reason``: why ``value`` is NaN, else empty.
    """

    percent: int
    value: float
    low: float = math.nan
    high: float = math.nan
    chance: float = math.nan
    floor: float = math.nan
    per_view: dict[str, float] = field(default_factory=dict)
    reason: str = ""


def undefined(percents: Iterable[int], reason: str) -> dict[int, NuisanceMassRatio]:
    """Return NaN for every k, with the reason."""
    return {percent: NuisanceMassRatio(percent, math.nan, reason=reason) for percent in percents}


def top_membership(values: Tensor, count: int) -> Tensor:
    """Return how far each of ``values`` [P] is among the ``count`` largest, float64 [P], summing to ``count``.

    1 above the threshold, 0 below; positions tied at the threshold share what is left.
    """
    threshold = values.topk(count).values[-1]
    above, tied = values > threshold, values == threshold
    share = (count - above.sum()) / tied.sum()
    return above.double() + tied.double() * share


def nuisance_mass_ratios(
    maps: Tensor,
    nuisance: Tensor,
    cameras: Sequence[str],
    percents: Iterable[int] = PERCENTS,
    standard_errors: Tensor | None = None,
    comparisons: int = 1,
) -> dict[int, NuisanceMassRatio]:
    """Return NMR@k for every k in ``percents``, positions ranked over all views jointly.

    ``maps`` float [V, h, w]: saliency of every view at one common size. ``nuisance`` float [V, h, w]: share of each
    position that is nuisance. ``standard_errors`` [V, h, w] of the map, from ``comparisons`` cells. A map that is
    constant or not finite ranks nothing: NaN with a reason.
    """
    if maps.shape != nuisance.shape or len(cameras) != len(maps):
        raise ValueError(
            f"maps and nuisance must be [V, h, w] of {len(cameras)} views, got {list(maps.shape)} and "
            f"{list(nuisance.shape)}"
        )
    percents = tuple(percents)
    for percent in percents:
        if not 0 < percent < 100:
            raise ValueError(f"k of NMR@k must be in (0, 100) percent, got {percent}")
    if not torch.isfinite(maps).all():
        return undefined(percents, "the saliency map has cells that were never measured")
    if bool(maps.max() == maps.min()):
        return undefined(
            percents, "the saliency map is constant: no replaced cell moved the action differently"
        )
    values, share = maps.double().flatten(), nuisance.double().flatten()
    results = {}
    for percent in percents:
        count = math.ceil(percent / 100 * values.numel())
        member = top_membership(values, count)
        low, high = interval(values, standard_errors, share, count, comparisons)
        results[percent] = NuisanceMassRatio(
            percent=percent,
            value=float((member * share).sum() / count),
            low=low,
            high=high,
            chance=float(share.mean()),
            floor=max(0.0, 1 - float((1 - share).sum()) / count),
            per_view=_per_view(member.view_as(maps), nuisance.double(), cameras),
        )
    return results


def _per_view(member: Tensor, nuisance: Tensor, cameras: Sequence[str]) -> dict[str, float]:
    result = {}
    for camera, inside, share in zip(cameras, member, nuisance, strict=False):
        mass = float(inside.sum())
        result[camera] = float((inside * share).sum()) / mass if mass > 0 else math.nan
    return result


def interval(
    values: Tensor,
    standard_errors: Tensor | None,
    nuisance: Tensor,
    count: int,
    comparisons: int,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the least and greatest NMR that simultaneous bands on the map allow.

    Every position's value is taken to lie within a band whose width covers all ``comparisons`` cells at once
    (Bonferroni, normal quantile). Positions that are in the top ``count`` whatever the bands' values are, stay; the
    rest of the top is filled from the positions that can be in it, once with the least and once with the greatest
    nuisance share. A jagged function of a noisy map allows no narrower statement without more assumptions: draws from
    the map's distribution drift to chance. Conservative; (NaN, NaN) without finite standard errors.
    """
    if standard_errors is None or not torch.isfinite(standard_errors).all():
        return math.nan, math.nan
    width = NormalDist().inv_cdf(1 - (1 - level) / (2 * comparisons)) * standard_errors.double().flatten()
    lower, upper = values - width, values + width
    total = values.numel()
    surely_above = total - torch.searchsorted(lower.sort().values, upper, right=True)
    maybe_above = total - torch.searchsorted(upper.sort().values, lower) - 1  # without the position itself
    sure = maybe_above < count
    possible = (surely_above < count) & ~sure
    missing = count - int(sure.sum())
    ranked = nuisance[possible].sort().values
    fixed = float(nuisance[sure].sum())
    missing = min(missing, len(ranked))
    low = (fixed + float(ranked[:missing].sum())) / count
    high = (fixed + float(ranked[len(ranked) - missing :].sum())) / count
    return low, high
