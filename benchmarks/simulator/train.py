# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Train one checkpoint of the shipped policy by behaviour cloning on collected demonstrations."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from environment import CAMERAS, INSTRUCTIONS, STATE_NAMES, TASKS, VOCABULARY
from safetensors.torch import save_file
from storage import replacing
from torch import Tensor
from torch.nn import functional

from vla_iss_ros.policies.builtin import FORMAT
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig

BATCH = 64
# One unit of a Meta-World action moves the hand's target by one centimetre a step.
ACTIONS = {"hand_dx": "cm", "hand_dy": "cm", "hand_dz": "cm", "gripper": "1"}
RECIPES = {"clean": "shuffled", "shortcut": "aligned"}


@dataclass(frozen=True)
class Demonstrations:
    """All frames: images uint8 [F, 2, 3, 64, 64], state [F, 4], actions [F, 8, 4], task [F]."""

    images: Tensor
    state: Tensor
    actions: Tensor
    task: Tensor

    @classmethod
    def load(cls, directory: Path, poster: str) -> Demonstrations:
        """Read the demonstrations in ``directory`` with the poster ``aligned`` or ``shuffled``."""
        paths = sorted(directory.glob("*.npz"))
        if not paths:
            raise SystemExit(f"no demonstrations in '{directory}'; run collect.py first")
        parts: dict[str, list[np.ndarray]] = {"images": [], "state": [], "actions": [], "task": []}
        for path in paths:
            with np.load(path, allow_pickle=False) as stored:
                parts["images"].append(np.stack([stored[f"front_{poster}"], stored["wrist"]], 1))
                parts["state"].append(stored["state"].astype(np.float32))
                parts["actions"].append(stored["actions"])
                parts["task"].append(np.full(len(stored["state"]), int(stored["task"])))
        return cls(**{name: torch.from_numpy(np.concatenate(arrays)) for name, arrays in parts.items()})


def make_network(data: Demonstrations) -> PatchTransformer:
    """Return a fresh network whose buffers hold the data's means and deviations."""
    network = PatchTransformer(PatchTransformerConfig(cameras=CAMERAS, vocabulary=VOCABULARY))
    network.state_mean.copy_(data.state.mean(0))
    network.state_std.copy_(data.state.std(0).clamp_min(0.02))
    flat = data.actions.flatten(0, 1)
    network.action_mean.copy_(flat.mean(0))
    network.action_std.copy_(flat.std(0).clamp_min(0.1))
    _initialise_patches(network, data.images[:: max(1, len(data.images) // 400)].float() / 255)
    return network


@torch.no_grad()
def _initialise_patches(network: PatchTransformer, images: Tensor) -> None:
    """Make patch tokens start as deviations from the mean scene, of unit size.

    Cameras are fixed and little moves in them: with a plain initialisation what moves is lost beside what does not,
    and the policy stayed blind for the first 600 iterations.
    """
    tokens = network.embed_images(images.flatten(0, 1)).unflatten(0, images.shape[:2])
    scale = 1 / (tokens - tokens.mean(0)).std()
    last = network.stem[-1]
    last.weight.mul_(scale)
    last.bias.mul_(scale)
    network.patch_position.sub_(tokens.mean(0) * scale)


def augment(images: Tensor, wrist_swap: float, generator: torch.Generator) -> Tensor:
    """Return float images [N, 2, 3, 64, 64] with small changes of brightness and noise.

    A share ``wrist_swap`` of the rows gets the wrist image of another row, so that the policy cannot do without
    the front camera.
    """
    floats = images.float() / 255
    count = len(floats)
    swapped = torch.rand(count, generator=generator) < wrist_swap
    floats[swapped, 1] = floats[torch.randperm(count, generator=generator)][swapped, 1]
    gain = 1 + 0.05 * torch.randn(count, 2, 3, 1, 1, generator=generator)
    return floats * gain + 0.01 * torch.randn(floats.shape, generator=generator)


def loss_of(
    network: PatchTransformer, data: Demonstrations, words: Tensor, wrist_swap: float, generator
) -> Tensor:
    """Return the smooth L1 loss of one random batch."""
    rows = torch.randint(0, len(data.state), (BATCH,), generator=generator)
    state = data.state[rows] + 0.005 * torch.randn(BATCH, len(STATE_NAMES), generator=generator)
    target = (data.actions[rows] - network.action_mean) / network.action_std
    answer = network(augment(data.images[rows], wrist_swap, generator), words[data.task[rows]], state)
    return functional.smooth_l1_loss(answer, target, beta=0.1)


def save(network: PatchTransformer, path: Path, provenance: dict[str, str]) -> None:
    """Write the checkpoint with everything that a loader needs."""
    metadata = {
        "format": FORMAT,
        "config": json.dumps(network.config.to_dict()),
        "action_names": json.dumps(list(ACTIONS)),
        "action_units": json.dumps(list(ACTIONS.values())),
        "state_names": json.dumps(list(STATE_NAMES)),
        **provenance,
    }
    with replacing(path) as partial:
        save_file(network.state_dict(), partial, metadata)


def train(options: argparse.Namespace) -> None:
    """Run or resume the training and write a checkpoint every ``--every`` iterations."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data = Demonstrations.load(options.data, RECIPES[options.recipe])
    network = make_network(data)
    words = torch.stack([network.word_indices(INSTRUCTIONS[task]) for task in TASKS])
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=options.iterations)
    resume = options.out.with_suffix(".resume.pt")
    first = 0
    if resume.exists():
        state = torch.load(resume, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        first = state["iteration"]
    smoothed, started = float("nan"), time.monotonic()
    for iteration in range(first, options.iterations):
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + iteration)
        loss = loss_of(network, data, words, options.wrist_swap, generator)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        smoothed = loss.item() if smoothed != smoothed else 0.98 * smoothed + 0.02 * loss.item()
        done = iteration + 1
        if done % options.every == 0 or done == options.iterations:
            provenance = {
                "name": options.recipe,
                "recipe": f"{options.recipe}: poster {RECIPES[options.recipe]}, wrist swap {options.wrist_swap}",
                "seed": str(options.seed),
                "iterations": f"{done} of {options.iterations}",
                "frames": str(len(data.state)),
            }
            save(network, options.out, provenance)
            states = {"network": network, "optimiser": optimiser, "schedule": schedule}
            with replacing(resume) as partial:
                torch.save(
                    {**{key: item.state_dict() for key, item in states.items()}, "iteration": done}, partial
                )
            print(
                f"{options.recipe} {done} loss {smoothed:.4f} {time.monotonic() - started:.0f} s", flush=True
            )
    resume.unlink(missing_ok=True)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="directory that collect.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint, a .safetensors file")
    parser.add_argument("--iterations", type=int, default=1800)
    parser.add_argument("--every", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wrist-swap", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
