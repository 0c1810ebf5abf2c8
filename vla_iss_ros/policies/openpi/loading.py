# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Connect to an openpi server: what it understands, what it answers, and whether it can be explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vla_iss_ros.iss.observation import Prepared
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.openpi.client import Connection, parse_address
from vla_iss_ros.policies.openpi.layout import Layout, choose_layout, read_json
from vla_iss_ros.policies.openpi.policy import PROMPT, STATE, OpenpiPolicy, actions_of, observation_of
from vla_iss_ros.policies.openpi.wire import ABILITIES, NOISE
from vla_iss_ros.policies.protocol import CameraSpec, PolicySpec

TRIALS = 3
# Of the largest action: far above what a GPU's arithmetic varies by, far below what sampling noise does.
STEADY = 1e-3
TIMEOUT = 60.0
LARGEST_STATISTICS = 64 * 2**20
MOST = 1_000_000


def load_openpi(path: str, unshared_noise: bool) -> OpenpiPolicy:
    """Connect to ``HOST:PORT?preset=...``; raises PolicyError in one line when it is not usable.

    ``unshared_noise``: take a stock server's stochastic policy as well. Whether one is stochastic is seen from repeated
    answers to one made-up observation.
    """
    address, options = parse_address(path)
    layout = choose_layout(options.get("preset", ""), options.get("layout", ""))
    connection = Connection(address, _timeout(options.get("timeout", "")))
    try:
        return _policy(address, layout, connection, options.get("norm_stats", ""), unshared_noise)
    except Exception:
        connection.close()
        raise


def _policy(
    address: str, layout: Layout, connection: Connection, statistics: str, unshared_noise: bool
) -> OpenpiPolicy:
    abilities = connection.metadata.get(ABILITIES)
    noise_shape = None if abilities is None else _noise_shape(abilities, address)
    grey = observation_of(layout, _grey(layout))
    if noise_shape is not None:
        grey[NOISE] = np.zeros(noise_shape, np.float32)
    trials = [actions_of(connection.ask(grey)) for _ in range(TRIALS)]
    if trials[0].ndim != 2 or 0 in trials[0].shape:
        raise PolicyError(f"openpi server at {address} answered actions {list(trials[0].shape)}, need [T, A]")
    steady = all(_same(trial, trials[0]) for trial in trials)
    if not steady and abilities is not None:
        raise PolicyError(
            f"openpi server at {address} was given its noise and still answers one observation differently; its policy "
            "draws more noise than it takes"
        )
    if not steady and not unshared_noise:
        raise PolicyError(
            f"openpi server at {address} is a stock server that draws new noise for every answer, which hides what "
            "interventions do; serve the policy with openpi_server_shim, or set allow_unshared_noise"
        )
    horizon, count = trials[0].shape
    names, units = _action_names(layout, count)
    spec = PolicySpec(
        name=f"openpi {address}",
        cameras=tuple(CameraSpec(camera.name, camera.size, None, "letterbox") for camera in layout.cameras),
        horizon=horizon,
        action_names=names,
        action_units=units,
        state_names=layout.state_names,
        noise_shape=noise_shape,
        shares_noise=steady,
    )
    return OpenpiPolicy(connection, layout, spec, abilities is not None, _statistics(statistics, count))


def _grey(layout: Layout) -> Prepared:
    images = {camera.name: torch.full((1, 3, *camera.size), 0.5) for camera in layout.cameras}
    words = torch.tensor([list(b"move")], dtype=torch.uint8)
    return Prepared(images, {STATE: torch.zeros(1, len(layout.state_names)), PROMPT: words})


def _noise_shape(abilities: Any, address: str) -> tuple[int, ...] | None:
    shape = abilities.get("noise_shape", "") if isinstance(abilities, dict) else ""
    if shape is None:
        return None
    if (
        not isinstance(shape, list)
        or not shape
        or any(not isinstance(side, int) or not 0 < side <= MOST for side in shape)
    ):
        raise PolicyError(
            f"openpi server at {address} gives the noise_shape {str(shape)[:80]!r}, need whole numbers"
        )
    return tuple(shape)


def _timeout(text: str) -> float:
    try:
        seconds = float(text or TIMEOUT)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise PolicyError(f"timeout of policy openpi must be seconds above 0, got '{text}'")
    return seconds


def _action_names(layout: Layout, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if len(layout.actions) == count:
        return layout.actions, layout.units
    return tuple(f"action_{index}" for index in range(count)), ("1",) * count


def _statistics(file: str, count: int) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of the actions, [A] each, of openpi's norm_stats.json; 0 and 1 without."""
    if not file:
        return torch.zeros(count), torch.ones(count)
    values = read_json(Path(file).expanduser(), LARGEST_STATISTICS)
    try:
        entry = values["norm_stats"]["actions"]
        mean, std = (torch.tensor([float(v) for v in entry[name][:count]]) for name in ("mean", "std"))
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(
            f"'{file}' has no norm_stats.actions with mean and std; give openpi's own file"
        ) from error
    if (
        len(mean) != count
        or len(std) != count
        or not bool(mean.isfinite().all())
        or not bool((std > 0).all())
    ):
        raise PolicyError(
            f"'{file}' must give {count} finite means and deviations above 0 for the actions, got {len(mean)} and "
            f"{len(std)}: {std.tolist()}"
        )
    return mean, std


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool((one - other).abs().max() <= STEADY * other.abs().max())
