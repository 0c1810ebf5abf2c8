# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Interventional saliency of vision-language-action policies, live and from recordings."""

__version__ = "0.1.0"
