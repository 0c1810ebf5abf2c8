# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Explain a policy beside a running robot: iss_node, and policy_node when it is wanted."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events import Shutdown, matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.utilities import make_namespace_absolute, prefix_namespace
from lifecycle_msgs.msg import Transition

from vla_iss_ros.settings import BY_NAME
from vla_iss_ros.settings.parameter_files import parameter_of

SHARE = Path(get_package_share_directory("vla_iss_ros"))

ARGUMENTS = [
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the nodes, one a robot."),
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "iss.yaml"),
        description="Parameters of the nodes; the arguments below win over it.",
    ),
    DeclareLaunchArgument(
        "policy",
        default_value="",
        description="Policy to explain, TYPE[:PATH], such as builtin:/path/to/policy.safetensors; "
        "empty: the parameter file's.",
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
        default_value="{camera}/image/compressed",
        description="Image topic of each camera, by commas in the order of cameras; or one in which {camera} "
        "stands for the name.",
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
        default_value="{camera}/regions",
        description="Label image topic of each camera, as for image_topics.",
    ),
    DeclareLaunchArgument(
        "instruction_topic",
        default_value="instruction",
        description="std_msgs/String with the task in words.",
    ),
    DeclareLaunchArgument(
        "state_topic",
        default_value="joint_states",
        description="sensor_msgs/JointState with the policy's state (state_names in the parameter file).",
    ),
    DeclareLaunchArgument(
        "action_topic",
        default_value="",
        description="Actions that the policy really commanded, compared with those of the explained copy; "
        "empty: no comparison.",
    ),
    DeclareLaunchArgument(
        "action_type",
        default_value="",
        choices=["", "float32_multi_array", "joint_trajectory"],
        description="Type of action_topic and of what policy_node publishes: std_msgs/Float32MultiArray or "
        "trajectory_msgs/JointTrajectory; empty: the parameter file's.",
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
        "autostart",
        default_value="",
        choices=["", "true", "false", "launch"],
        description="Who configures and activates the nodes: true: each node itself, false: a lifecycle manager, "
        "launch: this launch file by lifecycle events, which ends when a node cannot be configured; empty: the "
        "parameter file's.",
    ),
    DeclareLaunchArgument(
        "run_policy",
        default_value="false",
        choices=["true", "false"],
        description="Start policy_node as well, which runs the policy on the same topics.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="Take the time from /clock, as for bags and simulators.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error"],
        description="Least severity that the nodes print.",
    ),
]


# Passed on where they are given.
TEXTS = ("policy", "image_transport", "action_type")
SWITCHES = ("allow_pickle", "allow_remote_code", "allow_unshared_noise")


def names_in(text: str) -> list[str]:
    """Return the names between the commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def cameras_of(node: str, argument: str, params_file: str) -> list[str]:
    """Return the cameras that the argument names, else those that the file gives ``node``, else the default ones."""
    given = names_in(argument) or parameter_of(Path(params_file), node, "cameras")
    # What is no list of names is refused by the node, which says why.
    usable = isinstance(given, list) and given
    return [str(camera) for camera in given] if usable else list(BY_NAME["cameras"].default)


def topic_of_each_camera(argument: str, text: str, cameras: list[str]) -> dict[str, str]:
    """Return camera → topic from an argument's text; raises ValueError when they do not pair up."""
    topics = [topic.strip() for topic in text.split(",")]
    if len(topics) == 1 and "{camera}" in topics[0]:
        return {camera: topics[0].replace("{camera}", camera) for camera in cameras}
    if len(topics) != len(cameras) or not all(topics):
        raise ValueError(f"{argument} must name one topic for each of the cameras {cameras}, got '{text}'")
    return dict(zip(cameras, topics, strict=True))


def remappings_of(value: dict[str, str], cameras: list[str]) -> list[tuple[str, str]]:
    """Return the remappings of a node with these cameras, from the arguments' values."""
    images = topic_of_each_camera("image_topics", value["image_topics"], cameras)
    regions = topic_of_each_camera("region_topics", value["region_topics"], cameras)
    remappings = [(f"~/input/{camera}/image", topic) for camera, topic in images.items()]
    remappings += [(f"~/input/{camera}/regions", topic) for camera, topic in regions.items()]
    remappings += [
        ("~/input/instruction", value["instruction_topic"]),
        ("~/input/joint_states", value["state_topic"]),
    ]
    if value["action_topic"]:
        remappings.append(("~/input/action", value["action_topic"]))
    return remappings


def parameters_of(value: dict[str, str]) -> dict[str, str | bool | list[str]]:
    """Return the parameters that both nodes have and an argument gives; all else is the parameter file's."""
    parameters: dict[str, str | bool | list[str]] = {name: value[name] for name in TEXTS if value[name]}
    parameters |= {name: value[name] == "true" for name in (*SWITCHES, "autostart") if value[name]}
    if names_in(value["cameras"]):
        parameters["cameras"] = names_in(value["cameras"])
    return {**parameters, "use_sim_time": value["use_sim_time"] == "true"}


def nodes(context: LaunchContext) -> list[Action]:
    """Return the nodes, with the arguments' values filled in, and what brings them up where that is wanted."""
    value = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    by_events = value["autostart"] == "launch"
    outer = context.launch_configurations.get("ros_namespace")
    namespace = make_namespace_absolute(prefix_namespace(outer, value["namespace"]))

    def node(name: str, **parameters: str) -> Node:
        cameras = cameras_of(prefix_namespace(namespace, name), value["cameras"], value["params_file"])
        return (LifecycleNode if by_events else Node)(
            package="vla_iss_ros",
            executable=name,
            name=name,
            namespace=value["namespace"],
            parameters=[value["params_file"], {**parameters_of(value), **parameters}],
            remappings=remappings_of(value, cameras),
            arguments=["--ros-args", "--log-level", value["log_level"]],
            output="screen",
        )

    # policy_node replaces nothing, so it needs no donors.
    started = [node("iss_node", **({"donors": value["donors"]} if value["donors"] else {}))]
    if value["run_policy"] == "true":
        started.append(node("policy_node"))
    return [*started, *(action for node in started for action in brought_up(node))] if by_events else started


def brought_up(node: LifecycleNode) -> list[Action]:
    """Return what configures ``node`` once it runs, activates it then, and ends the launch where that fails."""

    def change(transition: int) -> EmitEvent:
        return EmitEvent(
            event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
        )

    failed = EmitEvent(event=Shutdown(reason=f"{node.node_executable} was not configured; its log says why"))
    return [
        # Its services are there some time after the process; the event waits for them.
        RegisterEventHandler(
            OnProcessStart(target_action=node, on_start=[change(Transition.TRANSITION_CONFIGURE)])
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=node,
                start_state="configuring",
                goal_state="inactive",
                entities=[change(Transition.TRANSITION_ACTIVATE)],
            )
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=node,
                start_state="configuring",
                goal_state="unconfigured",
                entities=[failed],
            )
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the launch description."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=nodes)])
