# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is read from a parameter file against what a real node reads from it."""

import pytest
import rclpy

from vla_iss_ros.settings.parameter_files import parameter_of, parameters_of

NODES = ("/iss_node", "/left/iss_node", "/left/arm/iss_node", "/left/policy_node")


def section(name, cameras):
    return f'"{name}":\n  ros__parameters:\n    cameras: [{cameras}]\n'


def read_by_rcl(path, node, domain):
    """Return the cameras that a node of this name is given, or None."""
    namespace, _, name = node.rpartition("/")
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context, domain_id=domain)
    try:
        made = rclpy.create_node(
            name,
            namespace=namespace,
            context=context,
            automatically_declare_parameters_from_overrides=True,
            start_parameter_services=False,
            enable_rosout=False,
        )
        return made.get_parameter("cameras").value if made.has_parameter("cameras") else None
    finally:
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (section("/left/iss_node", "a"), [None, ["a"], None, None]),
        (section("left/iss_node", "a"), [None, ["a"], None, None]),
        (section("iss_node", "a"), [["a"], None, None, None]),
        ("left:\n  iss_node:\n    ros__parameters:\n      cameras: [a]\n", [None, ["a"], None, None]),
        ("/left/:\n  iss_node:\n    ros__parameters:\n      cameras: [a]\n", [None, ["a"], None, None]),
        (section("/**", "a"), [["a"]] * 4),
        (section("**", "a"), [["a"]] * 4),
        (section("/**/iss_node", "a"), [["a"], ["a"], ["a"], None]),
        ('"/**":\n  iss_node:\n    ros__parameters:\n      cameras: [a]\n', [["a"], ["a"], ["a"], None]),
        (section("/*/iss_node", "a"), [None, ["a"], None, None]),
        (section("/left/*", "a"), [None, ["a"], None, ["a"]]),
        (section("/left/**", "a"), [None, ["a"], ["a"], ["a"]]),
        (section("/*", "a"), [["a"], None, None, None]),
        (section("/left/iss_node", "a") + section("/left/policy_node", "b"), [None, ["a"], None, ["b"]]),
        # Order, not how closely a name fits.
        (section("/left/iss_node", "a") + section("/**", "b"), [["b"]] * 4),
        (section("/**", "b") + section("/left/iss_node", "a"), [["b"], ["a"], ["b"], ["b"]]),
        # A section that is written twice keeps its first place.
        (
            section("/left/iss_node", "a") + section("/**", "b") + section("/left/iss_node", "c"),
            [["b"]] * 4,
        ),
        (section("/left/iss_node", "a") + section("/left/iss_node", "c"), [None, ["c"], None, None]),
        ("/left/iss_node:\n  ros__parameters:\n    policy: builtin\n", [None] * 4),
    ],
)
def test_a_node_is_given_what_rcl_gives_it(tmp_path, domain, text, expected):
    path = tmp_path / "parameters.yaml"
    path.write_text(text)
    assert [parameter_of(path, node, "cameras") for node in NODES] == expected
    assert [read_by_rcl(path, node, domain) for node in NODES] == expected


def test_an_empty_file_gives_nothing_and_a_broken_one_is_named(tmp_path):
    path = tmp_path / "parameters.yaml"
    path.write_text("")
    assert parameter_of(path, "/iss_node", "cameras") is None
    path.write_text("- a list\n")
    assert parameter_of(path, "/iss_node", "cameras") is None
    path.write_text("a: [\n")
    with pytest.raises(
        ValueError, match=r"^cannot read parameters from '.*parameters.yaml': while parsing.*$"
    ):
        parameter_of(path, "/iss_node", "cameras")
    with pytest.raises(ValueError, match="No such file"):
        parameter_of(tmp_path / "none.yaml", "/iss_node", "cameras")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (
            "/**:\n  ros__parameters:\n    a: !!python/object:os.system {}\n",
            "could not determine a constructor",
        ),
        ("/**:\n  ros__parameters:\n    a: 2026-99-99\n", "month must be in"),
        ("[" * 2000 + "]" * 2000, "recursion"),
        (f"# {'x' * 1_000_000}", "at most 1000000 bytes, got more"),
        ("/**:\n  ros__parameters: 5\n", "ros__parameters must be a mapping of names to values, got 5"),
    ],
)
def test_what_is_no_parameter_file_is_told_in_a_short_line(tmp_path, text, match):
    path = tmp_path / "parameters.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"cannot read parameters from .*{match}") as caught:
        parameters_of(path, "/iss_node")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250 + len(str(path))


def test_another_nodes_section_is_none_of_its_business(tmp_path):
    path = tmp_path / "parameters.yaml"
    path.write_text(
        "/iss_node:\n  ros__parameters: {a: 1, 2: [b]}\n/other:\n  ros__parameters: {a: 2026-99-99}\n"
    )
    assert parameters_of(path, "/iss_node") == {"a": 1, "2": ["b"]}


def test_aliases_are_refused_as_by_rcl(tmp_path):
    path = tmp_path / "parameters.yaml"
    path.write_text("a: &all\n  b: *all\n")
    with pytest.raises(
        ValueError, match="it has aliases, which ROS does not take; write out what they stand for"
    ):
        parameter_of(path, "/iss_node", "cameras")
