# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""OpenVLA from a local directory: action tokens, compared as distributions."""
