# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Parameters on a node in the test's own process."""

import pytest
import rclpy
from rcl_interfaces.msg import ParameterType
from rclpy.node import Node
from rclpy.parameter import Parameter

from vla_iss_ros.ros.parameters import Parameters
from vla_iss_ros.settings import ALL, BY_NAME


class Declared:
    def __init__(self, node):
        self.fixed, self.refusal, self.changes = False, "", []
        self.node = node
        self.parameters = Parameters(node, ALL, lambda: self.fixed, self.refuse, self.changes.append)

    def refuse(self, settings):
        if self.refusal:
            raise ValueError(self.refusal)

    def set(self, **values):
        items = [Parameter(name, value=value) for name, value in values.items()]
        return self.node.set_parameters_atomically(items)


@pytest.fixture
def declare(domain):
    """Return a function that declares the settings on a new node with start-up values and command line."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    nodes = []

    def make(*arguments, **overrides):
        items = [Parameter(name, value=value) for name, value in overrides.items()]
        line = ["--ros-args", *arguments]
        nodes.append(rclpy.create_node("node", context=context, cli_args=line, parameter_overrides=items))
        return Declared(nodes[-1])

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def test_every_setting_is_declared_with_default_type_description_and_range(declare):
    node = declare().node
    for setting in ALL:
        assert node.get_parameter(setting.name).value == setting.default
        descriptor = node.describe_parameter(setting.name)
        assert descriptor.description.startswith(setting.description)
        assert not descriptor.read_only
        assert not descriptor.dynamic_typing
        assert all(choice in descriptor.description for choice in setting.choices)
        if setting.unit not in ("", "1"):
            assert f"Unit: {setting.unit}." in descriptor.description
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        if setting.minimum is not None:
            assert [(each.from_value, each.to_value) for each in ranges] == [
                (setting.minimum, setting.maximum)
            ]
    assert node.describe_parameter("samples").type == ParameterType.PARAMETER_INTEGER
    assert node.describe_parameter("max_rate").type == ParameterType.PARAMETER_DOUBLE
    assert node.describe_parameter("cameras").type == ParameterType.PARAMETER_STRING_ARRAY


def test_start_up_values_are_read(declare):
    settings = declare(samples=500, cameras=["head"], baseline="blur").parameters.read()
    assert (settings.samples, settings.cameras, settings.baseline) == (500, ["head"], "blur")


def test_a_whole_number_at_start_up_serves_as_a_float(declare):
    declared = declare(max_rate=5)
    assert declared.parameters.read().max_rate == 5.0
    assert declared.node.describe_parameter("max_rate").type == ParameterType.PARAMETER_DOUBLE


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("samples", -5, r"samples must be in \[2, 100000\], got -5"),
        ("samples", "many", "samples must be int, got 'many'"),
        ("keep_probability", 1.2, r"keep_probability must be in \[0.01, 0.99\], got 1.2"),
        ("cameras", "front", "cameras must be list, got 'front'"),
        ("effects", 1, "effects must be bool, got 1"),
    ],
)
def test_a_refused_start_up_value_is_named_until_it_is_set_right(declare, name, value, match):
    declared = declare(**{name: value})
    with pytest.raises(ValueError, match=match):
        declared.parameters.read()
    assert declared.set(**{name: BY_NAME[name].default}).successful
    assert declared.parameters.read() == declared.changes[-1]


def test_start_up_values_that_do_not_fit_together_are_named(declare):
    declared = declare(samples=16, block_size=32)
    with pytest.raises(ValueError, match="samples must be at least block_size 32, got 16"):
        declared.parameters.read()


def test_a_change_hands_on_a_new_whole_settings_object(declare):
    declared = declare()
    before = declared.parameters.read()
    assert declared.set(samples=256, keep_probability=0.5).successful
    (after,) = declared.changes
    assert (after.samples, after.keep_probability) == (256, 0.5)
    assert (before.samples, before.keep_probability) == (
        BY_NAME["samples"].default,
        BY_NAME["keep_probability"].default,
    )
    assert declared.parameters.read() == after


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"samples": 16}, "samples must be at least block_size 32, got 16"),
        (
            {"design": "sobolish"},
            f"design must be one of {', '.join(BY_NAME['design'].choices)}, got 'sobolish'",
        ),
        ({"nmr_warn_ratio": 2.0}, "nmr_error_ratio must not be below nmr_warn_ratio 2.0, got 1.5"),
        (
            {"instruction": "press\x1b[2J"},
            "instruction holds the control character '\\x1b' at position 5",
        ),
        (
            {"instruction": "x" * 4097},
            f"instruction must have at most 4096 characters, got 4097: {'x' * 40!r}...",
        ),
        ({"cameras": ["a", "a"]}, "cameras must be different names and not empty, got ['a', 'a']"),
    ],
)
def test_a_change_that_does_not_fit_is_refused_with_the_reason(declare, changes, reason):
    declared = declare()
    result = declared.set(**changes)
    assert not result.successful
    assert result.reason == reason
    assert declared.changes == []
    for name in changes:
        assert declared.node.get_parameter(name).value == BY_NAME[name].default


def test_the_middleware_refuses_what_is_out_of_range_or_of_another_type(declare):
    declared = declare()
    assert not declared.set(samples=10**6).successful
    assert not declared.set(samples=1.5).successful
    assert not declared.set(max_rate=float("nan")).successful
    assert declared.changes == []


def test_fixed_settings_are_held_while_configured_and_free_before(declare):
    declared = declare()
    assert declared.set(policy="builtin:one").successful
    declared.fixed = True
    result = declared.set(policy="builtin:two", samples=256)
    assert not result.successful
    assert result.reason.startswith(
        "policy can change only while the node is not configured; deactivate and clean"
    )
    assert declared.parameters.read().samples == BY_NAME["samples"].default
    assert declared.set(policy="builtin:one").successful  # the same value is no change
    assert declared.set(samples=256).successful


def test_the_node_can_refuse_a_change(declare):
    declared = declare()
    declared.refusal = "baseline donor needs recorded frames"
    result = declared.set(samples=256)
    assert (result.successful, result.reason) == (False, "baseline donor needs recorded frames")
    assert declared.parameters.read().samples == BY_NAME["samples"].default


def test_parameters_of_others_pass(declare):
    declared = declare()
    declared.node.declare_parameter("other", 1)
    assert declared.set(other=2).successful
    assert declared.changes == []


LISTS = {"support_labels": [2, 5], "actor_labels": [7], "state_names": ["a"]}


def given_by_line(name, tmp_path):
    return ["-p", f"{name}:=[]"]


def given_by_file(name, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(f"/**:\n  ros__parameters:\n    {name}: []\n")
    return ["--params-file", str(path)]


@pytest.mark.parametrize("given", [given_by_line, given_by_file])
@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_at_start_up_is_an_empty_list_of_the_setting_s_type(declare, tmp_path, name, given):
    declared = declare(*given(name, tmp_path))
    assert getattr(declared.parameters.read(), name) == []
    before = declare().node.describe_parameter(name)
    assert declared.node.describe_parameter(name).type == before.type
    assert list(declared.node.get_parameter(name).value) == []
    assert declared.set(**{name: LISTS[name]}).successful
    assert getattr(declared.parameters.read(), name) == LISTS[name]


def test_an_empty_list_from_code_is_one_too(declare):
    declared = declare(support_labels=[])
    assert declared.parameters.read().support_labels == []
    assert declared.set(support_labels=[2]).successful


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("cameras", r"cameras must be different names and not empty, got \[\]"),
        ("samples", r"samples must be int, got \[\]"),
        ("instruction", r"instruction must be str, got \[\]"),
    ],
)
def test_an_empty_list_that_cannot_be_is_refused_for_what_it_is(declare, name, match):
    declared = declare("-p", f"{name}:=[]")
    with pytest.raises(ValueError, match=match):
        declared.parameters.read()
    assert declared.set(**{name: BY_NAME[name].default}).successful
    assert declared.parameters.read() == declared.changes[-1]


@pytest.mark.skipif(
    not hasattr(Node, "add_pre_set_parameters_callback"), reason="rclpy refuses it by its type"
)
def test_an_empty_list_is_a_change_whatever_its_type(declare):
    declared = declare()
    for kind in (Parameter.Type.BOOL_ARRAY, Parameter.Type.BYTE_ARRAY, Parameter.Type.INTEGER_ARRAY):
        assert declared.set(support_labels=[2]).successful
        assert declared.node.set_parameters_atomically([Parameter("support_labels", kind, [])]).successful
        assert declared.parameters.read().support_labels == []
    result = declared.set(cameras=[])
    assert result.reason == "cameras must be different names and not empty, got []"
    assert not declared.set(samples=[]).successful
