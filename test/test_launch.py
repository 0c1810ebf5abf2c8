"""The launch files, read by the real launch and launch_ros where those are installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("launch", reason="launch comes with a ROS installation, not with the wheels")
pytest.importorskip("launch_ros", reason="launch_ros comes with a ROS installation, not with the wheels")

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.utilities import perform_substitutions

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
    assert len(module.processes(context_with(module, bag=str(tmp_path), player=player))) == count


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
    given = node._Node__parameters[1]
    keys = {perform_substitutions(LaunchContext(), key) for key in given}
    assert keys == {"cameras", "use_sim_time"}
    assert module.cameras_of("a, b", str(parameters)) == ["a", "b"]
    (node,) = module.nodes(
        context_with(
            module,
            params_file=str(parameters),
            donors="/donors",
            autostart="false",
            action_type="joint_trajectory",
        )
    )
    keys = {perform_substitutions(LaunchContext(), key) for key in node._Node__parameters[1]}
    assert keys == {"cameras", "use_sim_time", "donors", "autostart", "action_type"}


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
    given = {
        perform_substitutions(LaunchContext(), key): value
        for key, value in started[0]._Node__parameters[1].items()
    }
    assert given["autostart"] is False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_one_of_a_few_has_choices(path):
    for argument in load(path.name).ARGUMENTS:
        if argument.name in ("rviz", "loop", "run_policy", "use_sim_time", "exit_at_end", "diagnostics"):
            assert argument.choices == ["true", "false"]
        if argument.name in ("image_transport", "autostart", "player", "log_level"):
            assert len(argument.choices) > 1
