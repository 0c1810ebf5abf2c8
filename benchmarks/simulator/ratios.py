# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Print NMR@10 of the two shipped checkpoints by baseline and keep probability, on frames of the sample bag."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from vla_iss_ros import settings
from vla_iss_ros.bags.observations import BagObservation, iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.policies.donors import donors_for
from vla_iss_ros.policies.loading import load_policy

ALIGNED_EPISODES = range(3)
PLACES = (0.0, 0.25, 0.5)


def choose(bag: Path) -> list[BagObservation]:
    """Return three frames of each of the first three episodes: its start, a quarter and half of it."""
    with Bag(bag) as source:
        frames = list(iterate_observations(source, episodes=ALIGNED_EPISODES))
    chosen = []
    for episode in ALIGNED_EPISODES:
        own = [frame for frame in frames if frame.episode == episode]
        chosen += [own[int(place * len(own))] for place in PLACES]
    return chosen


def main() -> None:
    """Parse the command line and print one line a combination."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=Path, help="the samples directory")
    parser.add_argument("--count", type=int, default=1024, help="N, perturbed copies of a frame")
    options = parser.parse_args()
    frames = choose(options.samples / "metaworld")
    for baseline, keep in itertools.product(("donor", "blur", "mean_colour"), (0.7, 0.3)):
        values = {"samples": options.count, "baseline": baseline, "keep_probability": keep, "effects": False}
        figures = []
        for name in ("clean", "shortcut"):
            policy = load_policy(f"builtin:{options.samples / 'policies' / name}.safetensors", "cpu")
            explainer = Explainer(policy, settings.check(values), donors_for(policy, "", required=True))
            ratios = [
                explainer.explain(
                    frame.observation, RegionMap.from_labels(frame.labels, actor=[1], support=[2, 3])
                ).ratios[10]
                for frame in frames
            ]
            figures.append(f"{name} {np.mean([ratio.value for ratio in ratios]):.2f}")
        chance = np.mean([ratio.chance for ratio in ratios])
        print(f"{baseline} keep {keep}: {', '.join(figures)}, chance {chance:.2f}", flush=True)


if __name__ == "__main__":
    main()
