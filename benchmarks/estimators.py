"""How many policy runs an estimator needs for a map that can be trusted.

For frames of the sample bag a reference map is made of 20,000 balanced samples (hajek) and kept under the policy's
hash. Every estimator then gets N samples of the same policy, and its map is correlated with the reference. The line
at the end compares the package's default with the paper's estimator on independent masks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_iss_ros import settings
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.iss import interventions
from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.designs import REGISTRY as DESIGNS
from vla_iss_ros.iss.estimators import REGISTRY, Estimator
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.donors import donors_for
from vla_iss_ros.policies.loading import load_policy, shipped_samples
from vla_iss_ros.policies.protocol import Policy

REFERENCE_SAMPLES = 20_000
REFERENCES = Path(__file__).parent / "references"
BLOCK = 32
TARGET = 0.9
# (checkpoint, episode of the sample bag, share of the episode)
QUICK_FRAMES = (("shortcut", 0, 0.05), ("clean", 2, 0.1))
FRAMES = (*QUICK_FRAMES, ("clean", 0, 0.05), ("shortcut", 1, 0.2), ("clean", 1, 0.2), ("shortcut", 2, 0.1))
COUNTS = (32, 64, 128, 256, 512, 1024)
LONG_COUNTS = (*COUNTS, 2048, 4096, 8192)


class Bench:
    """One frame under one policy: runs interventions and knows its reference map."""

    def __init__(self, policy: Policy, observation: Observation, place: str, probability: float) -> None:
        self.policy, self.probability = policy, probability
        self.base = policy.preprocess(observation)
        self.cells = CellGrid.over(self.base, settings.BY_NAME["grid"].default)
        donors = donors_for(policy, "", required=True)
        donor = interventions.Donor(
            [policy.preprocess(each) for each in donors], [d.instruction for d in donors]
        )
        self.pictures = donor.pictures(self.base, observation.instruction)
        self.products = interventions.products(self.base, self.pictures, self.cells)
        self.start = policy.run_pixels(self.base, {}, None).normalised
        self.path = REFERENCES / policy.spec.weights_hash / f"{place}_q{probability}.json"
        self.reference = self._reference()

    def blocks(self, design: str, count: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """Yield blocks of replaced cells, divergences, pictures and moves."""
        generator = torch.Generator().manual_seed(seed)
        pictures = len(next(iter(self.pictures.values())))
        for _ in range(count // BLOCK):
            replaced = DESIGNS[design]().draw(BLOCK, self.cells.count, self.probability, generator)
            chosen = interventions.choose_pictures(BLOCK, pictures, generator)
            images = interventions.apply(
                self.base, self.pictures, chosen, self.cells.coverage(replaced), quantise=False
            )
            moves = (self.policy.run_pixels(self.base, images, None).normalised - self.start).flatten(1)
            yield replaced, moves.square().mean(1), chosen, moves

    def estimator(self, name: str, design: str) -> Estimator:
        """Return a fresh estimator."""
        return REGISTRY[name](
            self.probability,
            DESIGNS[design].independent,
            self.cells.positions,
            self.products,
            self.products.shape[1],
        )

    def _reference(self) -> Tensor:
        if self.path.is_file():
            return torch.tensor(json.loads(self.path.read_text())["contrast"], dtype=torch.float64)
        estimator = self.estimator("hajek", "balanced")
        for block in self.blocks("balanced", REFERENCE_SAMPLES, seed=1):
            estimator.update(*block)
        result = estimator.estimate()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        stored = {
            "samples": result.samples,
            "contrast": [float(f"{value:.6g}") for value in result.contrast.tolist()],
            "standard_error": [float(f"{value:.3g}") for value in result.standard_error.tolist()],
        }
        partial.write_text(json.dumps(stored) + "\n")
        partial.rename(self.path)
        return result.contrast

    def correlations(self, names: Sequence[str], design: str, counts: Sequence[int], seed: int) -> dict:
        """Return estimator name to the correlation with the reference at every count."""
        estimators = {name: self.estimator(name, design) for name in names}
        found: dict[str, list[float]] = {name: [] for name in names}
        for done, block in enumerate(self.blocks(design, counts[-1], seed), start=1):
            for name, estimator in estimators.items():
                estimator.update(*block)
                if done * BLOCK in counts:
                    found[name].append(correlation(estimator.estimate().contrast, self.reference))
        return found


def correlation(estimate: Tensor, reference: Tensor) -> float:
    """Return Pearson's r; a map that is not finite correlates with nothing."""
    if not torch.isfinite(estimate).all():
        return 0.0
    return float(np.corrcoef(estimate, reference)[0, 1])


def needed(counts: Sequence[int], curve: Sequence[float]) -> float:
    """Return the count at which the curve first reaches the target, between counts on a log axis; inf if never."""
    for place, value in enumerate(curve):
        if value >= TARGET:
            if place == 0:
                return float(counts[0])
            share = (TARGET - curve[place - 1]) / (value - curve[place - 1])
            return float(counts[place - 1] * (counts[place] / counts[place - 1]) ** share)
    return float("inf")


def choose_frames(wanted: Sequence[tuple[str, int, float]]) -> list[tuple[str, str, Observation]]:
    """Return (checkpoint, name of the frame, observation)."""
    with Bag(shipped_samples() / "metaworld") as bag:
        frames = list(iterate_observations(bag, episodes={episode for _, episode, _ in wanted}))
    chosen = []
    for checkpoint, episode, share in wanted:
        own = [frame.observation for frame in frames if frame.episode == episode]
        chosen.append((checkpoint, f"episode{episode}_{share}", own[int(share * len(own))]))
    return chosen


def run(probability: float, quick: bool) -> None:
    """Measure and print one table."""
    frames, repeats = (QUICK_FRAMES, 1) if quick else (FRAMES, 3)
    curves: dict[str, list[list[float]]] = {}
    for checkpoint, place, observation in choose_frames(frames):
        path = shipped_samples() / "policies" / f"{checkpoint}.safetensors"
        bench = Bench(
            load_policy(f"builtin:{path}", "cpu"), observation, f"{checkpoint}_{place}", probability
        )
        for seed in range(100, 100 + repeats):
            # Those with a plan of their own take no design's samples.
            sampled = [name for name, kind in REGISTRY.items() if kind.plan is None]
            others = [name for name in sampled if name != "horvitz_thompson"]
            found = bench.correlations(others, "balanced", COUNTS, seed)
            found |= bench.correlations(["horvitz_thompson"], "bernoulli", LONG_COUNTS, seed)
            for name, curve in found.items():
                curves.setdefault(name, []).append(curve)
    means = {name: np.mean(each, axis=0).tolist() for name, each in curves.items()}
    print(
        f"correlation with the map of {REFERENCE_SAMPLES} samples, q = {probability} (keep {1 - probability:.1f})"
    )
    print(f"{'N':>22}" + "".join(f"{count:>7}" for count in LONG_COUNTS))
    for name, curve in sorted(means.items(), key=lambda item: -item[1][2]):
        print(f"{name:>22}" + "".join(f"{value:7.2f}" for value in curve))
    default = settings.BY_NAME["estimator"].default
    ours = needed(COUNTS, means[default])
    theirs = needed(LONG_COUNTS, means["horvitz_thompson"])
    print(
        f"evaluations to r = {TARGET} at q = {probability}: {default} {ours:.0f}, "
        f"horvitz_thompson {theirs:.0f}, ratio b/a = {theirs / ours:.1f}"
    )


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two frames, one repetition, q = 0.7 alone")
    parser.add_argument(
        "--probability", type=float, nargs="+", help="probabilities of replacement q to measure"
    )
    options = parser.parse_args()
    probabilities = options.probability or ([0.7] if options.quick else [0.3, 0.7])
    with torch.inference_mode():
        for probability in probabilities:
            run(probability, options.quick)


if __name__ == "__main__":
    main()
