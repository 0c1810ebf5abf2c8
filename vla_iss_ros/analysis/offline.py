# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Explain frames of a bag in this process, without ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from vla_iss_ros.analysis.episodes import ExplainedFrame
from vla_iss_ros.bags.episodes import Episode
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.messages.stamps import SECOND
from vla_iss_ros.policies.errors import PolicyGoneError
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.permissions import Permissions
from vla_iss_ros.policies.recorded import Recorded
from vla_iss_ros.regions.label_images import regions_from_labels


def explain_bag(
    bag: Path,
    settings: Any,
    stamps: Collection[int],
    episodes: Sequence[Episode],
    names: Sequence[str],
    on_frame: Callable[[], object] = lambda: None,
    problems: Counter[str] | None = None,
) -> list[ExplainedFrame]:
    """Explain the frames of a bag that have one of ``stamps``, in order of time.

    ``settings``: checked settings, the policy's name among them. ``episodes`` with their ``names`` as in
    ``read_recording``. Frames without label images have no NMR. Frames that cannot be read or explained are
    left out and counted in ``problems`` by reason. Raises BagError, PolicyError and ValueError as the bag, the
    policy and the settings do before the first frame.
    """
    policy = load_policy(settings.policy, settings.device, Permissions.of(settings))
    explainer = Recorded.of(policy, settings).explainer(policy, settings)
    problems = Counter() if problems is None else problems
    frames = []
    with Bag(bag) as source:
        observations = iterate_observations(
            source,
            problems=problems,
            state_names=settings.state_names,
            state_unit=settings.state_unit,
            instruction=settings.instruction,
            slop=settings.sync_slop,
        )
        for observation, labels, episode in observations:
            if observation.stamp not in stamps:
                continue
            on_frame()
            try:
                regions = regions_from_labels(labels, settings, observation.images) if labels else None
                explanation = explainer.explain(observation, regions)
            except PolicyGoneError:
                raise
            except ValueError as error:
                problems[f"frame: {error}"] += 1
                continue
            seconds = (observation.stamp - episodes[0].start) / SECOND
            frames.append(ExplainedFrame.of(explanation, settings.nmr_percent, seconds, names[episode]))
    return frames
