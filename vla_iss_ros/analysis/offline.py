"""Explain frames of a bag in this process, without ROS."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from vla_iss_ros.analysis.episodes import ExplainedFrame
from vla_iss_ros.bags.episodes import Episode
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.messages.stamps import SECOND
from vla_iss_ros.policies.donors import donors_for
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.regions.label_images import regions_from_labels


def explain_bag(
    bag: Path,
    settings: Any,
    stamps: Collection[int],
    episodes: Sequence[Episode],
    names: Sequence[str],
    on_frame: Callable[[], object] = lambda: None,
) -> list[ExplainedFrame]:
    """Explain the frames of a bag that have one of ``stamps``, in order of time.

    ``settings``: checked settings, the policy's name among them. ``episodes`` with their ``names`` as in
    ``read_recording``. Frames without label images have no NMR. Raises BagError, PolicyError and ValueError
    as the bag, the policy and the method do.
    """
    policy = load_policy(settings.policy, settings.device)
    donors = donors_for(policy, settings.donors, required=settings.baseline == "donor")
    explainer = Explainer(policy, settings, donors)
    frames = []
    with Bag(bag) as source:
        for observation, labels, episode in iterate_observations(source):
            if observation.stamp not in stamps:
                continue
            regions = regions_from_labels(labels, settings, observation.images) if labels else None
            explanation = explainer.explain(observation, regions)
            seconds = (observation.stamp - episodes[0].start) / SECOND
            frames.append(ExplainedFrame.of(explanation, settings.nmr_percent, seconds, names[episode]))
            on_frame()
    return frames
