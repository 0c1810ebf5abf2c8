# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Other attributions in ISS's result type, to be shown beside it: what they are not is in their label.

None of them intervenes on the input. Attention and norms say what the network does with a token, the gradient what an
infinitely small change would do, a knock-out what is read at a position: the action need not depend on any of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss.estimators import Estimate
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.explanation import Explanation
from vla_iss_ros.iss.map_ratios import ratios_of
from vla_iss_ros.iss.nmr import PERCENTS
from vla_iss_ros.iss.observation import Actions, Observation
from vla_iss_ros.iss.pacing import Pace
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.iss.token_cells import TokenCells
from vla_iss_ros.iss.token_means import TokenMeans
from vla_iss_ros.iss.tokens import Encoded, TokenScores
from vla_iss_ros.iss.words import words_of

PROJECTIONS = 16


class TokenAttributor:
    """Scores tokens in one or a few runs of the policy, over the blocks that ISS replaces.

    ``name``: attention, token_norm or gradient_input. ``means``: what gradients are taken against; zero without.
    """

    def __init__(
        self, policy: Any, settings: Any, means: TokenMeans | None, name: str, beside: Pace | None = None
    ) -> None:
        refuse_attribution(policy, name)
        self._policy, self._settings, self._means, self._name = policy, settings, means, name
        self._pace = Pace.of(settings, beside)

    def explain(
        self,
        observation: Observation,
        regions: RegionMap | None = None,
        on_run: Callable[[], object] = lambda: None,
    ) -> Explanation:
        """Return the attribution of one observation; its standard errors are NaN: nothing was sampled.

        ``on_run`` is called before each run of the policy; what it raises ends the work. Raises ValueError
        when the observation does not fit the policy.
        """
        started = time.perf_counter()
        policy, settings = self._policy, self._settings
        seed = (settings.seed * 0x9E3779B97F4A7C15 + observation.stamp) % 2**63
        # Not in inference mode: gradients may be taken.
        with torch.inference_mode(False), torch.no_grad():
            noise = policy.sample_noise(torch.Generator().manual_seed(seed))
            on_run()
            with self._pace.turn():
                base = policy.preprocess(observation)
                encoded = policy.encode(base)
                actions = policy.run_tokens(encoded, encoded.tokens, noise).take(slice(None))
                actions.require_finite()
            cells = TokenCells.over(encoded, settings.token_block)
            values, label, unit = _METHODS[self._name](self, encoded, cells, noise, seed, on_run)
        estimate = Estimate(values, values.clone(), torch.full_like(values, math.nan), 0)
        percents = sorted({*PERCENTS, settings.nmr_percent})
        return Explanation(
            stamp=observation.stamp,
            cells=cells,
            estimate=estimate,
            actions=actions,
            samples=0,
            stop_reason="",
            noise_floor=math.nan,
            mean_delta=math.nan,
            ratios=ratios_of(cells, estimate, regions, percents, settings),
            effects=(),
            shared_noise=policy.spec.shares_noise,
            seconds={"prepare": 0.0, "policy": time.perf_counter() - started, "estimate": 0.0},
            words=words_of(cells, estimate),
            method=f"not ISS: {label}, {unit}",
        )

    def _attention(
        self,
        encoded: Encoded,
        cells: TokenCells,
        noise: Tensor | None,
        seed: int,
        on_run: Callable[[], object],
    ) -> tuple[Tensor, str, str]:
        on_run()
        with self._pace.turn():
            scores: TokenScores = self._policy.attention(encoded, noise)
            values = cells.means(scores.values)
        return values, scores.description, "share of attention"

    def _norm(
        self,
        encoded: Encoded,
        cells: TokenCells,
        noise: Tensor | None,
        seed: int,
        on_run: Callable[[], object],
    ) -> tuple[Tensor, str, str]:
        return cells.means(encoded.tokens[0].float().norm(dim=1)), "norm of the embedding", "embedding units"

    def _gradient(
        self,
        encoded: Encoded,
        cells: TokenCells,
        noise: Tensor | None,
        seed: int,
        on_run: Callable[[], object],
    ) -> tuple[Tensor, str, str]:
        """Return the mean squared first-order change of the action when a cell is replaced by its mean.

        norm(J_c (mu - x_c))^2 / TA, J the Jacobian of the normalised action, from random projections of its rows
        (Hutchinson, 1990): gradient times input with the mean embedding as the baseline. In units of delta.
        """
        baseline = torch.zeros_like(encoded.tokens) if self._means is None else self._means.rows(encoded)
        change = (baseline.to(encoded.tokens) - encoded.tokens)[0].float()
        generator = torch.Generator().manual_seed(seed)
        with torch.enable_grad():
            tokens = encoded.tokens.detach().clone().requires_grad_(True)
            on_run()
            with self._pace.turn():
                answer: Actions = self._policy.run_tokens(encoded, tokens, noise)
                flat = answer.normalised.float().flatten()
            total = torch.zeros(cells.count, dtype=torch.float64)
            for index in range(PROJECTIONS):
                signs = torch.randint(0, 2, flat.shape, generator=generator).to(flat) * 2 - 1
                on_run()
                with self._pace.turn():
                    (gradient,) = torch.autograd.grad(
                        (signs * flat).sum(), tokens, retain_graph=index + 1 < PROJECTIONS
                    )
                    total += cells.sums((gradient[0].float() * change).sum(1).detach()).square()
        origin = "zero" if self._means is None else "the mean embedding"
        label = f"gradient x input against {origin}, {PROJECTIONS} projections"
        return total / PROJECTIONS / flat.numel(), label, "units of delta, first order"


class KnockOut:
    """Every cell hidden alone from the action part: a preview in C cheap runs."""

    def __init__(self, policy: Any, settings: Any, beside: Pace | None = None) -> None:
        refuse_attribution(policy, "knock_out")
        chosen = replace(
            settings,
            space="knock_out",
            estimator="leave_one_out",
            divergence="action_mse",
            effects=False,
            time_budget=0.0,
            nmr_half_width=0.0,
            samples=settings.block_size,
        )
        self._explainer = Explainer(policy, chosen, beside=beside)

    def explain(
        self,
        observation: Observation,
        regions: RegionMap | None = None,
        on_run: Callable[[], object] = lambda: None,
    ) -> Explanation:
        """Return the saliency of what is read; ``on_run`` as above.

        Raises ValueError when the observation does not fit the policy.
        """
        explanation = self._explainer.explain(observation, regions, on_run=on_run)
        return replace(explanation, method=f"not ISS: {explanation.method.removeprefix('ISS: ')}")


_Score = Callable[
    [TokenAttributor, Encoded, TokenCells, Tensor | None, int, Callable[[], object]], tuple[Tensor, str, str]
]
_METHODS: Mapping[str, _Score] = {
    "attention": TokenAttributor._attention,
    "token_norm": TokenAttributor._norm,
    "gradient_input": TokenAttributor._gradient,
}
NEEDS: Mapping[str, Sequence[str]] = {
    "attention": ("encode", "run_tokens", "attention"),
    "token_norm": ("encode", "run_tokens"),
    "gradient_input": ("encode", "run_tokens"),
    "knock_out": ("encode", "run_knocked_out"),
}


def refuse_attribution(policy: Any, name: str) -> None:
    """Raise ValueError when ``policy`` does not offer what an attribution needs."""
    missing = [method for method in NEEDS[name] if not hasattr(policy, method)]
    if missing:
        raise ValueError(
            f"attribution {name} needs a policy with {' and '.join(NEEDS[name])}, and {type(policy).__name__} has no "
            f"{missing[0]}; set attributions to none"
        )


def offered(policy: Any) -> tuple[str, ...]:
    """Return the attributions that a policy allows."""
    return tuple(name for name, methods in NEEDS.items() if all(hasattr(policy, each) for each in methods))


def make_attributors(
    policy: Any, settings: Any, means: TokenMeans | None = None, beside: Pace | None = None
) -> dict[str, TokenAttributor | KnockOut]:
    """Return the attributions that the setting ``attributions`` asks for, by name; all: those the policy allows.

    ``beside``: the pace of other runs of the policy, to which gaps are kept as well.
    """
    chosen: tuple[str, ...]
    if settings.attributions == "none":
        chosen = ()
    elif settings.attributions == "all":
        chosen = offered(policy)
    else:
        chosen = (settings.attributions,)
    return {
        name: KnockOut(policy, settings, beside)
        if name == "knock_out"
        else TokenAttributor(policy, settings, means, name, beside)
        for name in chosen
    }
