# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The field's messages in and out, without rclpy: these work on rclpy's classes and on rosbags' alike."""
