# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The launch files, read by the real launch and launch_ros where those are installed."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("launch", reason="launch comes with a ROS installation, not with the wheels")
pytest.importorskip("launch_ros", reason="launch_ros comes with a ROS installation, not with the wheels")

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.utilities import perform_substitutions
from launch_ros.events.lifecycle import StateTransition
from launch_ros.utilities.evaluate_parameters import evaluate_parameter_dict
from lifecycle_msgs.msg import TransitionEvent

LAUNCH = Path(__file__).resolve().parents[1] / "launch"
FILES = sorted(LAUNCH.glob("*.launch.py"))


def load(name: str):
    specification = importlib.util.spec_from_file_location(name.replace(".", "_"), LAUNCH / name)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def context_with(module, **values: str) -> LaunchContext:
    """Return a context in which the file's arguments have their defaults, or ``values``."""
    context = LaunchContext()
    for argument in module.ARGUMENTS:
        if argument.name in values:
            context.launch_configurations[argument.name] = values[argument.name]
        elif argument.default_value is not None:
            context.launch_configurations[argument.name] = perform_substitutions(
                context, argument.default_value
            )
    return context


def remappings_of(node) -> dict[str, str]:
    context = LaunchContext()
    return {
        perform_substitutions(context, source): perform_substitutions(context, target)
        for source, target in node._Node__remappings
    }


def parameters_of(node) -> dict:
    """Return the parameters that a node is given one by one, not by a file."""
    context = LaunchContext()
    (given,) = (each for each in node._Node__parameters if isinstance(each, dict))
    evaluated = evaluate_parameter_dict(context, given)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in evaluated.items()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_is_described(path):
    description = load(path.name).generate_launch_description()
    assert isinstance(description, LaunchDescription)
    arguments = [entity for entity in description.entities if isinstance(entity, DeclareLaunchArgument)]
    assert arguments
    context = LaunchContext()
    for argument in arguments:
        assert argument.description.split(" Valid choices are:")[0].endswith(".")
        default = perform_substitutions(context, argument.default_value or [])
        # A default may be an earlier argument's value.
        context.launch_configurations[argument.name] = default
        assert default != "true" or argument.choices == ["true", "false"]


def test_one_template_names_the_topics_of_all_cameras():
    module = load("iss.launch.py")
    nodes = module.nodes(context_with(module, cameras="left, right", run_policy="true"))
    assert [node.node_executable for node in nodes] == ["iss_node", "policy_node"]
    remappings = remappings_of(nodes[0])
    assert remappings["~/input/left/image"] == "left/image/compressed"
    assert remappings["~/input/right/regions"] == "right/regions"
    assert "~/input/action" not in remappings


def test_cameras_can_have_unlike_topics():
    module = load("iss.launch.py")
    node = module.nodes(context_with(module, image_topics="/a/rgb,/b/rgb", action_topic="/actions"))[0]
    remappings = remappings_of(node)
    assert remappings["~/input/front/image"] == "/a/rgb"
    assert remappings["~/input/wrist/image"] == "/b/rgb"
    assert remappings["~/input/action"] == "/actions"


@pytest.mark.parametrize("topics", ["/only/one", "/a,/b,/c", "/a,"])
def test_topics_that_do_not_pair_up_are_refused(topics):
    module = load("iss.launch.py")
    with pytest.raises(ValueError, match=f"image_topics must name one topic for each .* got '{topics}'"):
        module.nodes(context_with(module, image_topics=topics))


def test_replay_refuses_a_bag_that_is_not_there(tmp_path):
    module = load("replay.launch.py")
    with pytest.raises(ValueError, match="does not exist"):
        module.processes(context_with(module, bag=str(tmp_path / "nothing")))


@pytest.mark.parametrize(("player", "count"), [("bag_player", 2), ("ros2bag", 2)])
def test_replay_ends_with_the_bag(tmp_path, player, count):
    module = load("replay.launch.py")
    started = module.processes(context_with(module, bag=str(tmp_path), player=player))
    assert len(started) == count
    assert isinstance(started[0].event_handler, module.OnProcessExit)


def test_ros2_bag_is_played_once_all_nodes_are_active_and_no_second_time():
    module = load("replay.launch.py")
    player = module.make_player("ros2bag", "/bag", 1.0, False, 2)
    assert [part[0].text for part in player.cmd[7:9]] == ["--delay", "0.5"]
    handler = module.once_active(["iss_node", "policy_node"], player).event_handler
    context, loop = LaunchContext(), asyncio.new_event_loop()
    context._set_asyncio_loop(loop)

    def after(executable, goal):
        message = TransitionEvent()
        message.transition.label = goal
        message.goal_state.label = goal
        event = StateTransition(action=SimpleNamespace(node_executable=executable), msg=message)
        if not handler.matches(event):
            return []
        context._push_locals()
        entities = handler.handle(event, context)
        found = [action for entity in entities for action in entity.execute(context) or []]
        context._pop_locals()
        return found

    assert after("iss_node", "inactive") == []
    assert after("iss_node", "active") == []
    assert after("other_node", "active") == []
    assert after("policy_node", "active") == [player]
    assert after("iss_node", "active") == []
    loop.close()


@pytest.mark.parametrize(("player", "autostart"), [("ros2bag", "launch"), ("bag_player", "")])
def test_launch_activates_the_nodes_where_it_must_know_of_it(player, autostart):
    module = load("replay.launch.py")
    (explain,) = (
        entity
        for entity in module.generate_launch_description().entities
        if isinstance(entity, module.IncludeLaunchDescription)
    )
    passed = dict(explain.launch_arguments)
    context = context_with(module, bag="/bag", player=player)
    assert perform_substitutions(context, [passed["autostart"]]) == autostart


@pytest.mark.parametrize(("loop", "sim_time"), [("false", True), ("true", False)])
def test_a_record_is_on_the_bags_time_unless_that_comes_again(tmp_path, loop, sim_time):
    module = load("replay.launch.py")
    context = context_with(module, bag=str(tmp_path), record="/record", loop=loop)
    recorder = module.processes(context)[0]
    assert recorder.node_executable == "output_recorder"
    assert parameters_of(recorder) == {"bag": "/record", "use_sim_time": sim_time}


def test_replay_passes_on_only_arguments_that_both_files_have():
    passed = set(load("replay.launch.py").PASSED_ON)
    assert passed <= {argument.name for argument in load("replay.launch.py").ARGUMENTS}
    assert passed <= {argument.name for argument in load("iss.launch.py").ARGUMENTS}


@pytest.mark.parametrize(("name", "started"), [("demo.launch.py", 2), ("monitor.launch.py", 1)])
def test_rviz_can_be_left_out(name, started):
    module = load(name)
    entities = module.generate_launch_description().entities
    conditional = [entity for entity in entities if entity.condition is not None]
    with_rviz = context_with(module, rviz="true")
    without = context_with(module, rviz="false")
    assert sum(entity.condition.evaluate(with_rviz) for entity in conditional) == started
    assert not any(entity.condition.evaluate(without) for entity in conditional)


def test_the_parameter_file_rules_where_no_argument_is_given(tmp_path):
    parameters = tmp_path / "robot.yaml"
    parameters.write_text("/**:\n  ros__parameters:\n    cameras: [left, right]\n    image_transport: raw\n")
    module = load("iss.launch.py")
    (node,) = module.nodes(context_with(module, params_file=str(parameters)))
    assert remappings_of(node)["~/input/left/image"] == "left/image/compressed"
    assert parameters_of(node) == {"use_sim_time": False}
    given = {"donors": "/donors", "action_type": "joint_trajectory", "policy": "exported:/policy"}
    nodes = module.nodes(
        context_with(
            module,
            params_file=str(parameters),
            cameras="a, b",
            autostart="false",
            allow_pickle="true",
            allow_remote_code="false",
            run_policy="true",
            **given,
        )
    )
    switches = {"allow_pickle": True, "allow_remote_code": False, "autostart": False, "use_sim_time": False}
    assert parameters_of(nodes[0]) == {**given, **switches, "cameras": ["a", "b"]}
    assert set(remappings_of(nodes[1])) >= {"~/input/a/image", "~/input/b/image"}
    assert parameters_of(nodes[1]) == {
        **{name: value for name, value in given.items() if name != "donors"},
        **switches,
        "cameras": ["a", "b"],
    }


@pytest.mark.parametrize(
    "text",
    [
        """
/left/iss_node: {ros__parameters: {cameras: [front, wrist]}}
/right/iss_node: {ros__parameters: {cameras: [top]}}
/**/policy_node: {ros__parameters: {cameras: [head]}}
""",
        """
left: {iss_node: {ros__parameters: {cameras: [front, wrist]}}}
right: {iss_node: {ros__parameters: {cameras: [top]}}, "*": {ros__parameters: {device: cpu}}}
"/**": {policy_node: {ros__parameters: {cameras: [head]}}}
""",
    ],
    ids=["full names", "nested"],
)
def test_each_node_has_the_topics_of_the_cameras_that_the_file_gives_it(tmp_path, text):
    parameters = tmp_path / "robots.yaml"
    parameters.write_text(text)
    module = load("iss.launch.py")

    def cameras(robot, outer=None):
        context = context_with(module, namespace=robot, params_file=str(parameters), run_policy="true")
        if outer:
            context.launch_configurations["ros_namespace"] = outer
        found = []
        for node in module.nodes(context):
            assert parameters_of(node) == {"use_sim_time": False}
            images = [name for name in remappings_of(node) if name.endswith("/image")]
            found.append([name.split("/")[2] for name in images])
        return found

    assert cameras("left") == [["front", "wrist"], ["head"]]
    assert cameras("right") == [["top"], ["head"]]
    assert cameras("", outer="/right") == [["top"], ["head"]]
    assert cameras("right", outer="hall") == [["front", "wrist"], ["head"]]  # the package's own


def test_a_parameter_file_that_is_not_there_is_named(tmp_path):
    module = load("iss.launch.py")
    with pytest.raises(ValueError, match=r"cannot read parameters from '.*none"):
        module.nodes(context_with(module, params_file=str(tmp_path / "none.yaml")))


def test_two_robots_have_namespaces_and_relative_topics_of_their_own():
    module = load("iss.launch.py")
    names = set()
    for robot in ("left", "right"):
        context = context_with(module, namespace=robot, run_policy="true")
        for node in module.nodes(context):
            node._perform_substitutions(context)
            names.add(node.node_name)
            relative = ("image/compressed", "regions", "instruction", "joint_states")
            assert all(target.endswith(relative) for target in remappings_of(node).values())
            assert not any(target.startswith("/") for target in remappings_of(node).values())
    assert names == {
        f"/{robot}/{node}" for robot in ("left", "right") for node in ("iss_node", "policy_node")
    }


def test_lifecycle_events_bring_the_nodes_up():
    module = load("iss.launch.py")
    plain = module.nodes(context_with(module, run_policy="true"))
    assert not any(isinstance(action, module.LifecycleNode) for action in plain)
    actions = module.nodes(context_with(module, run_policy="true", autostart="launch"))
    started = [action for action in actions if isinstance(action, module.LifecycleNode)]
    assert [node.node_executable for node in started] == ["iss_node", "policy_node"]
    handlers = [action.event_handler for action in actions if isinstance(action, module.RegisterEventHandler)]
    kinds = [type(handler).__name__ for handler in handlers]
    assert kinds == ["OnProcessStart", "OnStateTransition", "OnStateTransition"] * 2
    # The nodes must not start themselves as well.
    assert parameters_of(started[0])["autostart"] is False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_one_of_a_few_has_choices(path):
    for argument in load(path.name).ARGUMENTS:
        if argument.name in ("rviz", "loop", "run_policy", "use_sim_time", "exit_at_end", "diagnostics"):
            assert argument.choices == ["true", "false"]
        if argument.name in ("image_transport", "autostart", "player", "log_level", "action_type"):
            assert len(argument.choices) > 1
        if argument.name.startswith("allow_"):
            assert argument.choices == ["", "true", "false"]
