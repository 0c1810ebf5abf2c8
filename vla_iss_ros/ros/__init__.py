# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What needs rclpy: parameters, subscriptions, the worker, publishers and diagnostics."""
