# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import os

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or use scripts/env")

import faulty_policy
from harness import (
    CAMERAS,
    OFTEN_TOLD,
    Probe,
    Process,
    apply_environment,
    own_domain,
    parameters,
    write_checkpoint,
)


@pytest.fixture(scope="module")
def domain():
    """A ROS domain for one module, in this process's environment too."""
    with own_domain() as number:
        before = apply_environment(number)
        yield number
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@pytest.fixture(scope="module")
def probe(domain):
    probe = Probe(domain)
    yield probe
    probe.close()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A tiny random policy, so that a frame is explained within milliseconds."""
    return write_checkpoint(tmp_path_factory.mktemp("policy") / "tiny.safetensors")


@pytest.fixture(scope="module")
def launch(domain, tmp_path_factory):
    """Return a function that starts an executable; all are killed at the module's end."""
    started = []

    def start(name, *arguments, **values):
        log = tmp_path_factory.mktemp("log") / f"{name}.log"
        started.append(Process(name, log, [*arguments, *parameters(**values)], OFTEN_TOLD))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def small(checkpoint):
    """Parameters under which iss_node explains fast and needs no donors."""
    return {
        "policy": f"builtin:{checkpoint}",
        "cameras": str(list(CAMERAS)),
        "samples": 16,
        "block_size": 8,
        "batch_size": 8,
        "grid": 3,
        "nmr_size": 16,
        "baseline": "mean_colour",
        "max_rate": 100.0,
    }


@pytest.fixture(scope="module")
def mood(tmp_path_factory):
    """The file that tells the policy ``faulty:FILE`` how to behave; nodes started meanwhile know that type."""
    directory = tmp_path_factory.mktemp("faulty")
    mood = directory / "mood"
    mood.write_text("good")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", faulty_policy.install(directory))
        yield mood
