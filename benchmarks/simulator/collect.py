# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Collect demonstrations of the scripted experts, each frame with the poster aligned and shuffled."""

from __future__ import annotations

import argparse
import multiprocessing
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
from environment import CAMERAS, TASKS, Scene
from storage import replacing
from tqdm import tqdm

IMAGE_SIZE = 64
HORIZON = 8
FRAME_STEPS = 2
LONGEST_EPISODE = 130
FIRST_SEED = 1000

_scene = cache(Scene)


def shrink(image: np.ndarray) -> np.ndarray:
    """Area-average uint8 [H, W, 3] to the policy's size, channels first."""
    small = cv2.resize(image, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA)
    return small.transpose(2, 0, 1)


def _photograph(scene: Scene, seed: int, step: int) -> dict[str, np.ndarray]:
    """Return the small pictures of one moment, the poster aligned and shuffled.

    The shuffled poster hangs elsewhere in every frame: standing still it would tell the demonstrations of a task
    apart, and a policy can learn them by heart from that.
    """
    pictures = {"wrist": shrink(scene.image("wrist"))}
    for condition in ("aligned", "shuffled"):
        scene.place_poster(condition, np.random.default_rng([seed, TASKS.index(scene.task), step]))
        pictures[f"front_{condition}"] = shrink(scene.image("front"))
    return pictures


def demonstrate(task: str, seed: int) -> dict[str, np.ndarray] | None:
    """Return the frames of one demonstration, or None when the expert fails.

    The action that is executed is disturbed (DART), the one that is stored is the expert's own.
    """
    scene, rng = _scene(task), np.random.default_rng([seed, TASKS.index(task)])
    scene.reset(seed)
    frames, actions, successes = [], [], 0
    for step in range(LONGEST_EPISODE):
        if step % FRAME_STEPS == 0:
            pictures = _photograph(scene, seed, step)
            frames.append({"step": step, "state": scene.state, **pictures})
        action = scene.expert_action()
        actions.append(action)
        disturbance = rng.normal(0, 0.25, 3) if rng.random() < 0.8 else np.zeros(3)
        successes += scene.step(action + np.append(disturbance, 0))
        if successes >= 5:
            break
    if not successes:
        return None
    padded = np.array(actions + [actions[-1]] * HORIZON, np.float32)
    for frame in frames:
        start = frame.pop("step")
        frame["actions"] = padded[start : start + HORIZON]
    return {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}


def _store(job: tuple[str, int], directory: Path) -> tuple[int, int]:
    task, seed = job
    path = directory / f"{task}_{seed}.npz"
    if not path.exists():
        frames = demonstrate(task, seed)
        if frames is None:
            return 0, 0
        with replacing(path) as partial_path, partial_path.open("wb") as stream:
            np.savez(stream, task=np.int64(TASKS.index(task)), **frames)
    with np.load(path, allow_pickle=False) as stored:
        return 1, len(stored["state"])


def main() -> None:
    """Parse the command line and collect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory for one .npz a demonstration")
    parser.add_argument("--demonstrations", type=int, default=24, help="a task")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + options.demonstrations)
    # Task by task, so that each process builds few scenes.
    jobs = [(task, seed) for task in TASKS for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        work = pool.imap_unordered(partial(_store, directory=options.data), jobs)
        counts = list(tqdm(work, total=len(jobs), desc="demonstrations"))
    succeeded, frames = np.sum(counts, axis=0)
    print(f"{succeeded}/{len(jobs)} demonstrations succeeded, {frames} frames of {len(CAMERAS)} cameras")


if __name__ == "__main__":
    main()
