# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an explanation needs of recorded data: donor frames and mean embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.spaces import NO_MEANS, refuse_settings
from vla_iss_ros.iss.token_means import TokenMeans
from vla_iss_ros.policies.donors import donors_for
from vla_iss_ros.policies.protocol import Policy, TokenPolicy
from vla_iss_ros.policies.token_means import beside, load_means


@dataclass(frozen=True)
class Recorded:
    """Donor frames and mean embeddings that fit a policy; either may be missing."""

    donors: Sequence[Observation] = ()
    means: TokenMeans | None = None

    @classmethod
    def of(cls, policy: Policy, settings: Any) -> Recorded:
        """Load what ``settings`` name or what lies beside the policy; raises PolicyError for what is not usable."""
        donors = donors_for(policy, settings.donors, required=_needs_donors(settings))
        return cls(donors, _means(policy, settings))

    def explainer(self, policy: Policy, settings: Any) -> Explainer:
        """Return the explainer of a policy under ``settings``; raises ValueError when they ask for more."""
        return Explainer(policy, settings, self.donors, self.means)

    def check(self, policy: Policy, settings: Any) -> None:
        """Raise ValueError when ``settings`` need what was not loaded or what the policy cannot do."""
        refuse_settings(policy, settings)
        if _needs_donors(settings) and not self.donors:
            raise ValueError(
                "baseline donor needs recorded frames and none are loaded; clean the node up, set donors to "
                "a directory made by gather_donors and configure it again, or set baseline to blur or "
                "mean_colour"
            )
        if settings.space == "token" and self.means is None and not self.donors:
            raise ValueError(NO_MEANS)


def borrowed_donors(settings: Any) -> str:
    """Return a warning where a policy of another origin gets the samples' donor frames, else an empty text."""
    if settings.donors or not _uses_donors(settings) or settings.policy.partition(":")[0] == "builtin":
        return ""
    return (
        "donors is not set, so parts of the images are replaced by the samples' frames, which are of another robot; "
        "set donors to a directory made by gather_donors of this one"
    )


def _uses_donors(settings: Any) -> bool:
    return bool(_needs_donors(settings) or settings.effects)


def _needs_donors(settings: Any) -> bool:
    return bool(settings.space == "pixel" and settings.baseline == "donor")


def _means(policy: Policy, settings: Any) -> TokenMeans | None:
    if not isinstance(policy, TokenPolicy):
        return None
    if settings.token_means:
        return load_means(Path(settings.token_means).expanduser(), policy)
    path = beside(settings.policy)
    return load_means(path, policy) if path is not None and path.is_file() else None
