# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Executables: wiring only. They import what is slow to import after they can be stopped by a signal."""
