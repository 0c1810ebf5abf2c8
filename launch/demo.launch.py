# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Show the whole thing: the sample bag, the shipped policy, its maps and the nuisance mass ratio in RViz."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, Shutdown
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, NotSubstitution
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("vla_iss_ros"))

ARGUMENTS = [
    DeclareLaunchArgument(
        "bag",
        default_value=str(SHARE / "samples" / "metaworld"),
        description="Directory of the rosbag2 recording to play.",
    ),
    DeclareLaunchArgument(
        "policy",
        default_value="builtin",
        description="Policy to run and explain, TYPE[:PATH]; builtin is the shipped one.",
    ),
    DeclareLaunchArgument(
        "rviz",
        default_value="true",
        choices=["true", "false"],
        description="Open RViz; false ends with the bag.",
    ),
    DeclareLaunchArgument(
        "rate", default_value="1.0", description="Speed of the bag's time; 0.5 is half speed."
    ),
    DeclareLaunchArgument(
        "loop",
        default_value=LaunchConfiguration("rviz"),
        choices=["true", "false"],
        description="Start the bag again at its end; by default while RViz is open.",
    ),
    DeclareLaunchArgument(
        "record",
        default_value="",
        description="Directory of a new bag with every output; empty: none is recorded.",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "demo.yaml"),
        description="Parameters of policy_node and iss_node.",
    ),
]


def include(name: str, **arguments: object) -> IncludeLaunchDescription:
    """Return another launch file of this package with its arguments."""
    source = PythonLaunchDescriptionSource(str(SHARE / "launch" / name))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def generate_launch_description() -> LaunchDescription:
    """Return the launch description."""
    rviz = LaunchConfiguration("rviz")
    replay = include(
        "replay.launch.py",
        exit_at_end=NotSubstitution(rviz),
        **{
            name: LaunchConfiguration(name)
            for name in ("bag", "policy", "rate", "loop", "record", "params_file")
        },
    )
    # RViz shows a marker only in a frame that the transform tree knows, and the bag has no transforms.
    frame = Node(
        package="tf2_ros",
        executable="static_transform_publisher",
        name="front_camera_frame",
        arguments=["--frame-id", "world", "--child-frame-id", "front_camera"],
        condition=IfCondition(rviz),
    )
    monitor = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz2",
        arguments=["-d", str(SHARE / "rviz" / "iss.rviz")],
        parameters=[{"use_sim_time": True}],
        on_exit=[Shutdown(reason="RViz was closed")],
        condition=IfCondition(rviz),
    )
    return LaunchDescription([*ARGUMENTS, replay, frame, monitor])
