# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Watch a robot from the operator's computer: RViz, and diagnostics in groups when they are wanted."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory("vla_iss_ros"))

ARGUMENTS = [
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the robot's iss_node."),
    DeclareLaunchArgument("rviz", default_value="true", choices=["true", "false"], description="Open RViz."),
    DeclareLaunchArgument(
        "rviz_config", default_value=str(SHARE / "rviz" / "iss.rviz"), description="What RViz shows."
    ),
    DeclareLaunchArgument(
        "diagnostics",
        default_value="false",
        choices=["true", "false"],
        description="Start diagnostic_aggregator: /diagnostics in groups on /diagnostics_agg.",
    ),
    DeclareLaunchArgument(
        "diagnostics_config",
        default_value=str(SHARE / "config" / "diagnostics_aggregator.yaml"),
        description="The aggregator's groups.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="Take the time from /clock, as for bags and simulators.",
    ),
]


def generate_launch_description() -> LaunchDescription:
    """Return the launch description."""
    sim_time = {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
    # The topics in the RViz file are relative, so the namespace picks the robot.
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", LaunchConfiguration("rviz_config")],
        parameters=[sim_time],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    aggregator = Node(
        package="diagnostic_aggregator",
        executable="aggregator_node",
        name="diagnostics_aggregator",
        parameters=[LaunchConfiguration("diagnostics_config"), sim_time],
        condition=IfCondition(LaunchConfiguration("diagnostics")),
    )
    return LaunchDescription([*ARGUMENTS, rviz, aggregator])
