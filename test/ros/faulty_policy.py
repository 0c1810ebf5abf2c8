# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A cheap policy that misbehaves as a file tells it to, brought by an installed package as a user's own would be."""

import shutil
import time
from pathlib import Path

import torch

from vla_iss_ros.iss.observation import Actions, Prepared
from vla_iss_ros.policies.protocol import CameraSpec, PolicySpec

SIDE = 16
MOODS = ("good", "raises", "not finite", "out of memory above 4 rows", "out of memory", "hangs", "slow")


class FaultyPolicy:
    """An action linear in the pictures, unless the file at ``mood`` says otherwise."""

    def __init__(self, mood, device):
        self.device, self._mood = device, mood
        cameras = tuple(CameraSpec(name, (SIDE, SIDE)) for name in ("front", "wrist"))
        self.spec = PolicySpec("faulty", cameras, 1, ("x", "y"), ("m", "m"))
        self._weights = torch.linspace(-1, 1, 2 * SIDE * SIDE).reshape(SIDE * SIDE, 2)

    def preprocess(self, observation):
        pictures = {
            name: torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            for name, image in observation.images.items()
        }
        return Prepared(
            {
                name: torch.nn.functional.interpolate(picture, (SIDE, SIDE), mode="area")
                for name, picture in pictures.items()
            }
        )

    def sample_noise(self, generator):
        return None

    def run_pixels(self, base, images, noise):
        rows = max((len(picture) for picture in images.values()), default=1)
        actions = sum(
            (images.get(name, picture).mean(1).flatten(1) @ self._weights).expand(rows, -1)
            for name, picture in base.images.items()
        )
        mood = self._mood.read_text()
        if mood == "raises":
            raise RuntimeError("the arm\nhas no such layer")
        if mood == "not finite":
            actions = actions * float("nan")
        if mood == "out of memory" or (mood == "out of memory above 4 rows" and rows > 4):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if mood == "slow":
            time.sleep(0.2)
        while mood == "hangs" and self._mood.read_text() == "hangs":
            time.sleep(0.01)
        return Actions(actions[:, None], actions[:, None])


def load(path, device):
    """Return the policy whose mood is in the file at ``path``; while that says "loading", hang."""
    mood = Path(path)
    while mood.read_text() == "loading":
        time.sleep(0.01)
    return FaultyPolicy(mood, device)


def install(directory):
    """Lay out a distribution with this policy as type ``faulty``; return the path for PYTHONPATH."""
    shutil.copy(__file__, directory / "faulty_policy.py")
    about = directory / "faulty_policy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-policy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[vla_iss_ros.policies]\nfaulty = faulty_policy:load\n")
    return str(directory)
