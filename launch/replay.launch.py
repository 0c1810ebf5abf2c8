# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Explain a policy on a recorded bag: a player with /clock, policy_node and iss_node; ends with the bag."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.event_handlers import OnStateTransition

SHARE = Path(get_package_share_directory("vla_iss_ros"))

ARGUMENTS = [
    DeclareLaunchArgument("bag", description="Directory of the rosbag2 recording."),
    DeclareLaunchArgument(
        "rate", default_value="1.0", description="Speed of the bag's time; 0.5 is half speed."
    ),
    DeclareLaunchArgument(
        "loop",
        default_value="false",
        choices=["true", "false"],
        description="Start the bag again at its end, until it is stopped.",
    ),
    DeclareLaunchArgument(
        "player",
        default_value="bag_player",
        choices=["bag_player", "ros2bag"],
        description="What plays the bag: bag_player, which waits until the nodes listen, or `ros2 bag play` where it "
        "is installed, which is started once this launch file has activated them.",
    ),
    DeclareLaunchArgument(
        "record",
        default_value="",
        description="Directory of a new bag with every output, on the played bag's time (with loop, which repeats "
        "it, on the computer's); empty: none is recorded.",
    ),
    DeclareLaunchArgument(
        "exit_at_end",
        default_value="true",
        choices=["true", "false"],
        description="Shut everything down when the bag has been played.",
    ),
    # What iss.launch.py takes, with the defaults of a bag that was recorded from this package's simulator.
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "iss.yaml"),
        description="Parameters of the nodes; the arguments below win over it.",
    ),
    DeclareLaunchArgument(
        "policy", default_value="", description="Policy to explain, TYPE[:PATH]; empty: the parameter file's."
    ),
    DeclareLaunchArgument(
        "donors",
        default_value="",
        description="Directory of donor frames made by gather_donors; empty: the parameter file's.",
    ),
    DeclareLaunchArgument(
        "cameras",
        default_value="",
        description="The policy's cameras, by commas; empty: the parameter file's.",
    ),
    DeclareLaunchArgument(
        "image_topics",
        default_value="/{camera}/image/compressed",
        description="The bag's image topic of each camera, by commas; or one with {camera} for the name.",
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value="",
        choices=["", "raw", "compressed"],
        description="Type of the image topics: raw is sensor_msgs/Image, compressed is CompressedImage; "
        "empty: the parameter file's.",
    ),
    DeclareLaunchArgument(
        "region_topics",
        default_value="/{camera}/regions",
        description="The bag's label image topic of each camera, as for image_topics.",
    ),
    DeclareLaunchArgument(
        "instruction_topic",
        default_value="/instruction",
        description="The bag's topic with the task in words.",
    ),
    DeclareLaunchArgument(
        "state_topic",
        default_value="/end_effector_state",
        description="The bag's sensor_msgs/JointState that holds the policy's state.",
    ),
    DeclareLaunchArgument(
        "action_topic",
        default_value="/policy_node/output/action_chunk",
        description="Actions to compare with those of the explained copy: policy_node's, or the bag's; empty: none.",
    ),
    DeclareLaunchArgument(
        "action_type",
        default_value="",
        choices=["", "float32_multi_array", "joint_trajectory"],
        description="Type of action_topic and of what policy_node publishes: std_msgs/Float32MultiArray or "
        "trajectory_msgs/JointTrajectory, which is matched by stamp; empty: the parameter file's.",
    ),
    DeclareLaunchArgument(
        "allow_pickle",
        default_value="",
        choices=["", "true", "false"],
        description="Also load exported policies of kind pt2, which run whatever code they hold; empty: the parameter "
        "file's.",
    ),
    DeclareLaunchArgument(
        "allow_remote_code",
        default_value="",
        choices=["", "true", "false"],
        description="Run the Python files in a policy's directory; empty: the parameter file's.",
    ),
    DeclareLaunchArgument(
        "allow_unshared_noise",
        default_value="",
        choices=["", "true", "false"],
        description="Also take a stochastic policy that cannot be given its sampling noise; empty: the parameter "
        "file's.",
    ),
    DeclareLaunchArgument(
        "run_policy",
        default_value="true",
        choices=["true", "false"],
        description="Start policy_node as well, which runs the policy on the same topics.",
    ),
]

# Passed on to iss.launch.py as they are.
PASSED_ON = (
    "params_file",
    "policy",
    "donors",
    "cameras",
    "image_topics",
    "image_transport",
    "region_topics",
    "instruction_topic",
    "state_topic",
    "action_topic",
    "action_type",
    "allow_pickle",
    "allow_remote_code",
    "allow_unshared_noise",
    "run_policy",
)


# The publishers of `ros2 bag play` are there so many seconds before its first message, for the nodes to find them.
SETTLING = "0.5"


def make_player(kind: str, bag: str, rate: float, loop: bool, listeners: int) -> ExecuteProcess:
    """Return the process that plays the bag and publishes /clock; bag_player once ``listeners`` nodes are there."""
    if kind == "ros2bag":
        repeat = ["--loop"] if loop else []
        return ExecuteProcess(
            cmd=["ros2", "bag", "play", bag, "--clock", "--rate", str(rate), "--delay", SETTLING, *repeat],
            name="ros2_bag_play",
            output="screen",
        )
    return Node(
        package="vla_iss_ros",
        executable="bag_player",
        name="bag_player",
        parameters=[{"bag": bag, "rate": rate, "loop": loop, "wait_for_subscribers": listeners}],
        output="screen",
    )


def once_active(executables: list[str], action: Action) -> RegisterEventHandler:
    """Return what starts ``action`` when the nodes of these executables have all become active, and once only."""
    awaited = set(executables)

    def note(context: LaunchContext) -> list[Action]:
        if not awaited:
            return []
        awaited.discard(context.locals.event.action.node_executable)
        return [] if awaited else [action]

    return RegisterEventHandler(
        OnStateTransition(goal_state="active", entities=[OpaqueFunction(function=note)])
    )


def make_recorder(bag: str, sim_time: bool) -> Node:
    """Return the recorder of every output."""
    return Node(
        package="vla_iss_ros",
        executable="output_recorder",
        name="output_recorder",
        parameters=[{"bag": str(Path(bag).expanduser()), "use_sim_time": sim_time}],
        # It answers SIGINT by closing the bag, which takes its time and must not be cut off.
        sigterm_timeout="20",
        output="screen",
    )


def processes(context: LaunchContext) -> list[Action]:
    """Return the player, the recorder and what happens at the bag's end."""
    value = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    bag, loop = Path(value["bag"]).expanduser(), value["loop"] == "true"
    if not bag.exists():
        raise ValueError(f"bag must be a recording, '{bag}' does not exist")
    # A looped bag's time comes again and again, and a record on it would have all rounds in one.
    started: list[Action] = [make_recorder(value["record"], not loop)] if value["record"] else []
    explained_by = ["iss_node", *(["policy_node"] if value["run_policy"] == "true" else [])]
    player = make_player(value["player"], str(bag), float(value["rate"]), loop, len(explained_by))
    if value["exit_at_end"] == "true":
        end = EmitEvent(event=Shutdown(reason="the bag has been played"))
        started.append(RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[end])))
    # bag_player waits for the nodes by itself.
    return [*started, once_active(explained_by, player) if value["player"] == "ros2bag" else player]


def generate_launch_description() -> LaunchDescription:
    """Return the launch description."""
    explain = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "iss.launch.py")),
        launch_arguments=[
            *((name, LaunchConfiguration(name)) for name in PASSED_ON),
            ("use_sim_time", "true"),
            # Only nodes that launch brings up tell it when they are active.
            (
                "autostart",
                PythonExpression(["'launch' if '", LaunchConfiguration("player"), "' == 'ros2bag' else ''"]),
            ),
        ],
    )
    # The handler of the nodes' transitions before the nodes.
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=processes), explain])
