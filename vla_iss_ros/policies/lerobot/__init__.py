# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Policies of LeRobot, loaded from a local directory; ``loader`` is where to start."""
