# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The method: torch in, torch out. No ROS, no files, no global state."""
