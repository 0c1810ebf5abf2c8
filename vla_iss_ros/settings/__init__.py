# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every setting once: name, default, unit, range and description.

Node parameters, ``config/iss.yaml``, command-line options and the README's table are made from or tested against
these.
"""

from vla_iss_ros.settings.checks import Settings, check
from vla_iss_ros.settings.definitions import ALL, BY_NAME, GROUPS
from vla_iss_ros.settings.inputs import INPUTS
from vla_iss_ros.settings.method import METHOD, REFERENCE
from vla_iss_ros.settings.outputs import OUTPUTS
from vla_iss_ros.settings.setting import Setting
from vla_iss_ros.settings.texts import as_markdown, as_yaml, reference_as_yaml

__all__ = [
    "ALL",
    "BY_NAME",
    "GROUPS",
    "INPUTS",
    "METHOD",
    "OUTPUTS",
    "REFERENCE",
    "Setting",
    "Settings",
    "as_markdown",
    "as_yaml",
    "check",
    "reference_as_yaml",
]
