# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Policies behind an openpi server, and the server that serves them as interventions need it."""
