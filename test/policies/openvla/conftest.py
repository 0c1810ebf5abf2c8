# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import importlib.util
from importlib.metadata import version

import pytest

REASON = "transformers is not installed; scripts/test --policies runs this in an environment of its own"


@pytest.fixture(scope="session")
def openvla_directory(tmp_path_factory):
    """Return a function that gives a directory of a tiny random model of OpenVLA's structure; not to be changed."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip(REASON)
    if int(version("transformers").partition(".")[0]) > 4:
        pytest.skip("policies of type openvla need transformers 4")
    import tiny_openvla

    made = {}

    def directory(**changes):
        key = str(sorted(changes.items()))
        if key not in made:
            made[key] = tiny_openvla.save(tmp_path_factory.mktemp("openvla") / f"tiny_{len(made)}", **changes)
        return made[key]

    return directory


@pytest.fixture(scope="session")
def openvla_policy(openvla_directory):
    """Return a function that loads such a policy."""
    import torch

    from vla_iss_ros.policies.loading import load_policy
    from vla_iss_ros.policies.permissions import Permissions

    torch.set_num_threads(1)
    loaded = {}

    def policy(options="", **changes):
        name = f"openvla:{openvla_directory(**changes)}{options}"
        if name not in loaded:
            loaded[name] = load_policy(name, "cpu", Permissions(remote_code=True))
        return loaded[name]

    return policy
