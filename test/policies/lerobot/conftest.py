# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import importlib.util

import pytest

REASON = "lerobot is not installed; scripts/test --policies runs this in an environment of its own"


def pytest_collection_modifyitems(items):
    """Skip what needs the library where it is missing; tests of the adapter's own parts run anywhere."""
    # This directory bears the library's name: only a module of the library itself tells.
    found = importlib.util.find_spec("lerobot")
    if found is not None and found.origin is not None:
        return
    for item in items:
        if "lerobot_policies" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="session")
def lerobot_policies(tmp_path_factory):
    """Return a function that gives the directory of a tiny random policy of a family; not to be changed."""
    import tiny_lerobot

    made = {}

    def directory(family):
        if family not in tiny_lerobot.SAVE:
            pytest.skip(f"{family} needs lerobot 0.6, which needs Python 3.12")
        if family not in made:
            made[family] = tiny_lerobot.SAVE[family](tmp_path_factory.mktemp(family) / f"tiny_{family}")
        return made[family]

    return directory


@pytest.fixture(scope="session")
def lerobot_policy(lerobot_policies):
    """Return a function that loads such a policy."""
    import torch
    from tiny_lerobot import loadable

    from vla_iss_ros.policies.loading import load_policy

    torch.set_num_threads(1)
    loaded = {}

    def policy(family):
        if family not in loaded:
            directory = lerobot_policies(family)
            with loadable(family):
                loaded[family] = load_policy(f"lerobot:{directory}", "cpu")
        return loaded[family]

    return policy
