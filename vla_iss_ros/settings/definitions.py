# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every setting: name, default, description, unit, range or choices."""

from __future__ import annotations

from collections.abc import Mapping

from vla_iss_ros.settings.inputs import INPUTS
from vla_iss_ros.settings.method import METHOD
from vla_iss_ros.settings.outputs import OUTPUTS
from vla_iss_ros.settings.setting import Setting

GROUPS: Mapping[str, tuple[Setting, ...]] = {"inputs": INPUTS, "method": METHOD, "outputs": OUTPUTS}
ALL: tuple[Setting, ...] = INPUTS + METHOD + OUTPUTS
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in ALL}
