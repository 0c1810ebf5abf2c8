# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The package lerobot, imported when a policy of it is loaded, and kept off the network."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.hugging_face import import_torchvision, stay_offline


def import_lerobot() -> str:
    """Make lerobot importable and return its version; raises PolicyError where it is missing or does not import.

    Nothing that it calls may look for files on the network from then on.
    """
    stay_offline()
    try:
        installed = version("lerobot")
        import_torchvision()
        importlib.import_module("lerobot.policies.factory")
    except (ImportError, PackageNotFoundError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PolicyError(
            "policies of type lerobot need lerobot 0.4.4 (Python 3.10 and 3.11) or 0.6 (Python 3.12), which does not "
            f"import here ({reason}); install it with: pip install vla_iss_ros[lerobot]"
        ) from error
    return installed
