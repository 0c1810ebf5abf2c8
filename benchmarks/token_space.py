# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What token space costs beside pixel space, and how often the vision tower runs.

Both explain the same frames (of the sample bag where they fit the policy, else made up) with N samples and the same
number of cells a camera, alternating in one process; each time is a median. The mean embeddings are read from the file
beside the policy, or gathered from the frames. The tiny SmolVLA is random: it counts runs, and its ratio is no trained
policy's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vla_iss_ros import settings
from vla_iss_ros.analysis.policy_frames import sample_frames, synthetic_frames
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.recorded import Recorded

BLOCK = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--samples", type=int, default=100, metavar="N", help="(%(default)s)")
    parser.add_argument("--policy", default="builtin", metavar="TYPE[:PATH]", help="(%(default)s)")
    parser.add_argument(
        "--tiny-smolvla",
        action="store_true",
        help="a tiny random SmolVLA, made here (in scripts/policies-env)",
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        if options.tiny_smolvla:
            options.policy = f"lerobot:{make_tiny_smolvla(Path(scratch) / 'tiny_smolvla')}"
        return run(parser, options)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Measure; return 0."""
    repeats = 5 if options.quick else 25
    policy = load_policy(options.policy, "auto")
    towers = Towers(policy)
    frames = sample_frames(policy)
    recorded = None if frames else Recorded(synthetic_frames(policy))
    if recorded is not None:
        frames = list(recorded.donors)
    grid = policy.spec.cameras[0].token_grid
    if grid is None:
        parser.error(f"policy {options.policy} has no image tokens")
    common = {"policy": options.policy, "samples": options.samples, "effects": False}
    spaces = {
        "pixel": {**common, "grid": -(-grid[0] // BLOCK)},
        "token": {**common, "space": "token", "token_block": BLOCK},
    }
    for estimator in ("spatial", "emulator"):
        print(f"estimator {estimator}, N = {options.samples}, {len(frames)} frames, {repeats} repeats")
        ratio, runs = compare(policy, towers, spaces, estimator, frames, repeats, recorded)
    print(f"token / pixel time at N = {options.samples}: {ratio:.2f}; vision tower runs: {runs}")
    return 0


def compare(
    policy: Any,
    towers: Towers,
    spaces: dict[str, dict[str, Any]],
    estimator: str,
    frames: Sequence[Observation],
    repeats: int,
    recorded: Recorded | None,
) -> tuple[float, int]:
    """Print one line a space; return the ratio of median times, and tower runs a frame in token space.

    ``recorded``: donors in the place of the shipped ones, where these do not fit the policy.
    """
    explainers: dict[str, Explainer] = {}
    for name, values in spaces.items():
        checked = settings.check({**values, "estimator": estimator})
        explainers[name] = (recorded or Recorded.of(policy, checked)).explainer(policy, checked)
        explainers[name].explain(frames[0])
    times: dict[str, list[float]] = {name: [] for name in spaces}
    inside: dict[str, list[float]] = {name: [] for name in spaces}
    runs = {}
    for repeat in range(repeats):
        frame = frames[repeat % len(frames)]
        for name, explainer in explainers.items():
            before, started = towers.runs, time.perf_counter()
            explanation = explainer.explain(frame)
            times[name].append(time.perf_counter() - started)
            inside[name].append(explanation.seconds["policy"])
            runs[name] = towers.runs - before
    for name in spaces:
        whole, policy_time = statistics.median(times[name]), statistics.median(inside[name])
        print(
            f"  {name}: {whole * 1e3:.1f} ms a frame, {policy_time * 1e3:.1f} ms of it within the policy; "
            f"vision tower runs: {runs[name]}"
        )
    return statistics.median(times["token"]) / statistics.median(times["pixel"]), runs["token"]


class Towers:
    """Counts how often the vision tower runs on all cameras."""

    def __init__(self, policy: Any) -> None:
        self._images = 0
        self._cameras = len(policy.spec.cameras)
        owner, name = tower_of(policy)
        embed = getattr(owner, name)

        def counted(*given: Any) -> Any:
            self._images += 1
            return embed(*given)

        setattr(owner, name, counted)

    @property
    def runs(self) -> int:
        """Runs over all cameras so far."""
        return self._images // self._cameras


def tower_of(policy: Any) -> tuple[Any, str]:
    """Return the object that embeds one camera's images, and its method."""
    if hasattr(policy, "tower"):  # flow policies of LeRobot
        return policy.tower, "embed_image"
    if hasattr(policy.network, "embed_images"):  # the shipped policy
        return policy.network, "embed_images"
    return policy.network.model.backbone, "forward"  # ACT


def make_tiny_smolvla(directory: Path) -> Path:
    """Save a tiny random SmolVLA as the tests do."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test" / "policies" / "lerobot"))
    from tiny_lerobot import save_smolvla

    made: Path = save_smolvla(directory)
    return made


if __name__ == "__main__":
    sys.exit(main())
