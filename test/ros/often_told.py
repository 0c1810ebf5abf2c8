# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Run one of the package's executables with its diagnostics five times a second.

Arguments: its name, then its own.
"""

import runpy
import sys

from vla_iss_ros.ros import diagnostics

diagnostics.PERIOD = 0.2
runpy.run_module(f"vla_iss_ros.nodes.{sys.argv.pop(1)}", run_name="__main__", alter_sys=True)
