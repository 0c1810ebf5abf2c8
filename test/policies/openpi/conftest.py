# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import servers

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.permissions import Permissions


@pytest.fixture(scope="session")
def shim():
    """Return a function that starts openpi_server_shim with arguments, for a with statement."""
    return servers.shim


@pytest.fixture(scope="session")
def stock():
    """Return a function that starts a stock server of a function of stand_in, for a with statement."""
    return servers.stock


@pytest.fixture(scope="session")
def shim_port(shim):
    with shim("stand_in:load_batches", "--noise-shape", "2", "4", "--rows", "7") as port:
        yield port


@pytest.fixture(scope="session")
def stock_port(stock):
    with stock("load") as port:
        yield port


@pytest.fixture
def connect():
    """Return a function that loads the policy at a port."""
    policies = []

    def load(port, unshared=False, **options):
        query = "&".join(f"{name}={value}" for name, value in {"preset": "libero", **options}.items())
        permissions = Permissions(unshared_noise=unshared)
        policies.append(load_policy(f"openpi:127.0.0.1:{port}?{query}", "cpu", permissions))
        return policies[-1]

    yield load
    for policy in policies:
        policy._connection.close()


@pytest.fixture
def see():
    """Return a function that makes an observation of random pixels."""

    def make(seed=0, size=(224, 224), **changes):
        rng = np.random.default_rng(seed)
        images = {name: rng.integers(0, 256, (*size, 3), dtype=np.uint8) for name in ("image", "wrist_image")}
        state = np.linspace(0, 1, 8, dtype=np.float32)
        return Observation(
            **{"images": images, "instruction": "pick it", "state": state, "stamp": 1, **changes}
        )

    return make
