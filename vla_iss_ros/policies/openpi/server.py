# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""An openpi server that takes a batch of variants and the sampling noise in one request.

Requests without the reserved keys are answered as openpi's own server answers them, so a robot can share it. Needs
NumPy, websockets and msgpack alone; what it serves brings the rest.
"""

from __future__ import annotations

import contextlib
import copy
import http
import inspect
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.openpi.wire import ABILITIES, BATCH, LARGEST_MESSAGE, MISSING, NOISE, pack, unpack

LOGGER = logging.getLogger("openpi_server_shim")


class Shim:
    """Answers requests with ``policy``: anything with openpi's ``infer(observation, noise=...)``.

    Variants go to ``infer_batch(observations, noise=...)`` where the policy has it, ``rows`` of them at a time, and to
    ``infer`` one by one where not. ``noise_shape``: of one row, or None for a policy that draws none.
    """

    def __init__(self, policy: Any, noise_shape: Sequence[int] | None, rows: int = 64) -> None:
        self._policy, self._rows = policy, rows
        self._noise_shape = None if noise_shape is None else tuple(noise_shape)
        self._lock = threading.Lock()
        if self._noise_shape is not None and not _takes_noise(policy.infer):
            raise PolicyError(
                f"infer of {type(policy).__name__} takes no noise; say so with --deterministic if it draws none"
            )
        own = getattr(policy, "metadata", None)
        shape = None if self._noise_shape is None else list(self._noise_shape)
        self.metadata = {**(own if isinstance(own, Mapping) else {}), ABILITIES: {"noise_shape": shape}}

    def answer(self, request: Any) -> dict[str, Any]:
        """Return the answer to one request; raises ValueError for what is no request."""
        if not isinstance(request, dict):
            raise ValueError(f"a request must be an object, got {type(request).__name__}")
        variants, noise = request.pop(BATCH, None), request.pop(NOISE, None)
        options = {} if noise is None else {"noise": self._checked(noise)}
        with self._lock:
            if variants is None:
                return dict(self._policy.infer(request, **options))
            return self._batch(request, variants, options)

    def _checked(self, noise: Any) -> np.ndarray:
        if not isinstance(noise, np.ndarray) or noise.shape != self._noise_shape:
            found = list(noise.shape) if isinstance(noise, np.ndarray) else type(noise).__name__
            raise ValueError(f"{NOISE} must be an array {self._noise_shape}, got {found}")
        return noise

    def _batch(
        self, request: dict[str, Any], variants: Any, options: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        leaves = list(_leaves(variants))
        counts = {len(rows) for _, rows in leaves}
        if len(counts) != 1 or 0 in counts:
            raise ValueError(f"{BATCH} must hold arrays of one length above 0, got {sorted(counts)}")
        count = counts.pop()
        answers = []
        for start in range(0, count, self._rows):
            rows = range(start, min(start + self._rows, count))
            answers.append(self._some([_variant(request, leaves, row) for row in rows], options))
        return {"actions": np.concatenate(answers)}

    def _some(self, observations: list[dict[str, Any]], options: dict[str, np.ndarray]) -> np.ndarray:
        count = len(observations)
        if hasattr(self._policy, "infer_batch"):
            all_noise = {name: np.repeat(noise[None], count, axis=0) for name, noise in options.items()}
            actions = np.asarray(self._policy.infer_batch(observations, **all_noise)["actions"])
        else:
            actions = np.stack(
                [np.asarray(self._policy.infer(one, **options)["actions"]) for one in observations]
            )
        if actions.ndim != 3 or len(actions) != count:
            raise ValueError(f"the policy answered {list(actions.shape)} to {count} observations")
        return actions


def noise_shape_of(policy: Any) -> tuple[int, int] | None:
    """Return [horizon, dimensions] of the noise that an openpi policy's model takes; None where it does not say."""
    model = getattr(policy, "_model", None)
    for source in (model, getattr(model, "config", None)):
        horizon, dimensions = (getattr(source, name, None) for name in ("action_horizon", "action_dim"))
        if isinstance(horizon, int) and isinstance(dimensions, int):
            return horizon, dimensions
    return None


def serve(shim: Shim, host: str, port: int) -> Any:
    """Return a server that listens already; call ``serve_forever`` on it, and ``shutdown`` from another thread."""
    try:
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.server import serve as listen
    except ImportError as error:
        raise PolicyError(MISSING) from error

    def health(connection: Any, request: Any) -> Any:
        return connection.respond(http.HTTPStatus.OK, "OK\n") if request.path == "/healthz" else None

    def converse(connection: Any) -> None:
        with contextlib.suppress(ConnectionClosed):  # clients leave as they like
            _converse(shim, connection)

    try:
        return listen(
            converse,
            host,
            port,
            compression=None,
            max_size=LARGEST_MESSAGE,
            ping_interval=None,
            process_request=health,
        )
    except OSError as error:
        raise PolicyError(f"cannot listen at {host}:{port}: {error.strerror}; choose another port") from error


def _converse(shim: Shim, connection: Any) -> None:
    """Answer one client until it leaves; an error is sent as text, as openpi's server does, and ends nothing."""
    connection.send(pack(shim.metadata))
    for message in connection:
        try:
            connection.send(pack(shim.answer(unpack(message))))
        except Exception as error:  # whatever the policy raises is the client's to hear of
            LOGGER.exception("request failed")
            connection.send(" ".join(f"{type(error).__name__}: {error}".split()))


def _takes_noise(function: Any) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(
        parameter.name == "noise" or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters
    )


def _leaves(values: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    if isinstance(values, np.ndarray) and values.ndim:
        yield key, values
    elif isinstance(values, dict):
        for name, value in values.items():
            yield from _leaves(value, (*key, name))
    else:
        raise ValueError(f"{BATCH} must hold arrays [N, ...], got {type(values).__name__} at {'/'.join(key)}")


def _variant(
    request: dict[str, Any], leaves: Sequence[tuple[tuple[str, ...], np.ndarray]], row: int
) -> dict[str, Any]:
    """Return one observation of its own: openpi's transforms write into what they are given."""
    observation = copy.deepcopy(request)
    for key, rows in leaves:
        place = observation
        for name in key[:-1]:
            place = place.setdefault(name, {})
        place[key[-1]] = rows[row].copy()
    return observation
