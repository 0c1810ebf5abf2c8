# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Let a checkpoint act in closed loop on unseen episodes and count successes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from environment import CAMERAS, POSTER_CONDITIONS, TASKS, Scene
from storage import replacing

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.builtin import BuiltinPolicy, load_builtin

FIRST_SEED = 50_000
EXECUTED = 4
LONGEST_EPISODE = 120


def observe(scene: Scene) -> Observation:
    """Photograph the scene as the policy sees it."""
    images = {camera: scene.image(camera) for camera in CAMERAS}
    return Observation(images, scene.instruction, scene.state.astype(np.float32))


def succeeds(policy: BuiltinPolicy, scene: Scene, seed: int, condition: str) -> bool:
    """Run one episode: four steps of every chunk of eight are executed."""
    scene.reset(seed)
    scene.place_poster(condition, np.random.default_rng([seed, TASKS.index(scene.task)]))
    for _ in range(LONGEST_EPISODE // EXECUTED):
        with torch.inference_mode():
            chunk = policy.run_pixels(policy.preprocess(observe(scene)), {}, None).physical[0].numpy()
        if any(scene.step(action) for action in chunk[:EXECUTED]):
            return True
    return False


def main() -> None:
    """Parse the command line, run the episodes and print one line a condition."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--conditions", nargs="+", choices=POSTER_CONDITIONS, default=list(POSTER_CONDITIONS))
    parser.add_argument("--episodes", type=int, default=15, help="a task")
    parser.add_argument("--out", type=Path, help="JSON file for the counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    policy = load_builtin(options.checkpoint, torch.device("cpu"))
    scenes = [Scene(task) for task in TASKS]
    counts = {}
    for condition in options.conditions:
        seeds = range(FIRST_SEED, FIRST_SEED + options.episodes)
        won = [sum(succeeds(policy, scene, seed, condition) for seed in seeds) for scene in scenes]
        counts[condition] = dict(zip(TASKS, won, strict=False))
        total = len(scenes) * options.episodes
        print(f"{options.checkpoint.stem} poster {condition}: {sum(won)}/{total} {won}", flush=True)
    for scene in scenes:
        scene.close()
    if options.out is not None:
        with replacing(options.out) as partial:
            partial.write_text(
                json.dumps({"episodes a task": options.episodes, "successes": counts}, indent=2) + "\n"
            )


if __name__ == "__main__":
    main()
