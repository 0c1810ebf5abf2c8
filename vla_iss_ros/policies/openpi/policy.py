# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy behind an openpi server, by the websocket protocol of the package openpi-client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vla_iss_ros.iss.observation import Actions, Observation, Prepared
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.observing import camera_pixels, require_instruction, state_row
from vla_iss_ros.policies.openpi.client import Connection
from vla_iss_ros.policies.openpi.layout import CameraEntry, Key, Layout
from vla_iss_ros.policies.openpi.wire import BATCH, NOISE
from vla_iss_ros.policies.protocol import PolicySpec

STATE, PROMPT = "state", "prompt"


class OpenpiPolicy:
    """Sends observations and interventions to a server.

    ``batches``: the server takes N variants and a noise of ours in one request; otherwise every row is a request of its
    own, and a stochastic policy draws other noise for each. Actions are normalised by ``mean`` and ``std`` [A].
    """

    def __init__(
        self,
        connection: Connection,
        layout: Layout,
        spec: PolicySpec,
        batches: bool,
        statistics: tuple[Tensor, Tensor],
    ) -> None:
        self.spec = spec
        # What is computed here is little; the policy runs where its server runs.
        self.device = torch.device("cpu")
        self._connection, self._layout, self._batches = connection, layout, batches
        self._mean, self._std = statistics
        self._cameras = {camera.name: camera for camera in layout.cameras}

    def preprocess(self, observation: Observation) -> Prepared:
        """Bring every camera to the size it is sent in, black around it, as openpi's ``resize_with_pad`` does.

        Raises ValueError for a missing camera, a state of another size, or an empty instruction.
        """
        pixels = camera_pixels(observation, self.spec.camera_names, self.device)
        boxes = {name: _box(image, self._cameras[name].size) for name, image in pixels.items()}
        content = {name: box for name, box in boxes.items() if box[2:] != self._cameras[name].size}
        inputs = {}
        if self._layout.state:
            inputs[STATE] = state_row(observation, self._layout.state_names, self.device)
        if self._layout.prompt is not None:
            require_instruction(observation)
            inputs[PROMPT] = torch.tensor([list(observation.instruction.encode())], dtype=torch.uint8)
        return Prepared(self.resize(pixels), inputs, content, tuple(observation.instruction.split()))

    def resize(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Bring images float32 [N, 3, H, W] in [0, 1] to the size they are sent in."""
        return {name: _fit(image, self._cameras[name].size) for name, image in images.items()}

    def sample_noise(self, generator: torch.Generator) -> Tensor | None:
        """Draw one row of standard normal noise, or None where the server takes none."""
        if self.spec.noise_shape is None:
            return None
        return torch.randn(1, *self.spec.noise_shape, generator=generator)

    def run_pixels(self, base: Prepared, images: Mapping[str, Tensor], noise: Tensor | None) -> Actions:
        """Act on N variants of ``base``; raises PolicyError for a server that is gone or answers something else."""
        count = max((len(rows) for rows in images.values()), default=1)
        request = observation_of(self._layout, base)
        variants = {
            self._cameras[name].key: _sent(rows, self._cameras[name]) for name, rows in images.items()
        }
        if self._batches:
            if noise is not None:
                request[NOISE] = noise[0].float().numpy()
            for key, rows in variants.items():
                _put(request, (BATCH, *key), rows)
            physical = self._actions(self._connection.ask(request), (count,) if images else ())
        else:
            rows_of_answers = []
            for row in range(count):
                for key, rows in variants.items():
                    _put(request, key, rows[row])
                rows_of_answers.append(self._actions(self._connection.ask(request), ()))
            physical = torch.cat(rows_of_answers)
        return Actions((physical - self._mean) / self._std, physical)

    def _actions(self, answer: Mapping[str, Any], batch: tuple[int, ...]) -> Tensor:
        actions = actions_of(answer)
        wanted = (*batch, self.spec.horizon, len(self.spec.action_names))
        if tuple(actions.shape) != wanted:
            raise PolicyError(f"openpi server answered actions {list(actions.shape)}, need {list(wanted)}")
        return actions if batch else actions[None]


def observation_of(layout: Layout, base: Prepared) -> dict[str, Any]:
    """Return one openpi observation: uint8 images, float32 state, the instruction."""
    request: dict[str, Any] = {}
    for camera in layout.cameras:
        _put(request, camera.key, _sent(base.images[camera.name], camera)[0])
    done = 0
    for entry in layout.state:
        _put(request, entry.key, base.inputs[STATE][0, done : done + len(entry.names)].numpy())
        done += len(entry.names)
    if layout.prompt is not None:
        _put(request, layout.prompt, bytes(base.inputs[PROMPT][0].tolist()).decode())
    return request


def actions_of(answer: Mapping[str, Any]) -> Tensor:
    """Return the actions of an answer, float32; raises PolicyError when they are missing or not finite."""
    actions = answer.get("actions")
    if not isinstance(actions, np.ndarray) or actions.dtype.kind != "f":
        found = type(actions).__name__ if actions is not None else f"only {sorted(map(str, answer))[:8]}"
        raise PolicyError(f"openpi server must answer actions as an array of floats, got {found}")
    bad = int((~np.isfinite(actions)).sum())
    if bad:
        raise PolicyError(f"openpi server answered {bad} actions that are not finite; check its checkpoint")
    return torch.from_numpy(actions.astype(np.float32))


def _box(image: Tensor, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return where an image [.., H, W] lies within ``size``: (top, left, height, width), centred."""
    height, width = image.shape[-2:]
    ratio = max(width / size[1], height / size[0])
    inner = max(int(height / ratio), 1), max(int(width / ratio), 1)
    return (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2, *inner


def _fit(images: Tensor, size: tuple[int, int]) -> Tensor:
    if images.shape[-2:] == size:
        return images
    top, left, height, width = _box(images, size)
    inner = functional.interpolate(images, (height, width), mode="bilinear", antialias=True)
    sides = (left, size[1] - left - width, top, size[0] - top - height)
    return functional.pad(inner.clamp(0, 1), sides)


def _sent(rows: Tensor, camera: CameraEntry) -> np.ndarray:
    """Return images [N, 3, h, w] in [0, 1] as uint8 in the order of axes that the server expects."""
    pixels = (rows.clamp(0, 1) * 255).round().to(torch.uint8)
    if camera.order == "hwc":
        pixels = pixels.permute(0, 2, 3, 1)
    return pixels.contiguous().numpy()


def _put(request: dict[str, Any], key: Key, value: Any) -> None:
    for name in key[:-1]:
        request = request.setdefault(name, {})
    request[key[-1]] = value
