# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Files that the nodes' parameters may come from, and what is no such file."""

import pytest
from yaml_factory import alias_bomb

from vla_iss_ros.cli.parameter_file import read_parameters
from vla_iss_ros.settings import check


@pytest.fixture
def read(tmp_path):
    def write_and_read(lines, before=""):
        path = tmp_path / "params.yaml"
        path.write_text(f"{before}/**:\n  ros__parameters:\n" + "".join(f"    {line}\n" for line in lines))
        return read_parameters(path)

    return write_and_read


def test_settings_and_topics_are_told_apart(read):
    values, topics = read(
        ["support_labels: []", "state_topic: ''", "use_sim_time: true", "image_topics: '/a, /b'"]
    )
    assert (values, topics) == ({"support_labels": []}, {"state_topic": "", "image_topics": "/a, /b"})
    assert check(values).support_labels == []


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (["colour: 1", "5: 2"], "has the unknown parameter 'colour'; see"),
        (["5: 2", "colour: 1"], "has the unknown parameter '5'; see"),
        (["state_topic:"], "must give state_topic as one text, got None"),
        (["image_topics: [/a, /b]"], r"must give image_topics as one text, got \['/a', '/b'\]"),
        (["- samples"], r"ros__parameters must be a mapping of names to values, got \['samples'\]"),
    ],
)
def test_what_is_no_parameter_is_named(read, lines, match):
    with pytest.raises(ValueError, match=match):
        read(lines)


def test_a_file_that_cannot_be_read_is_one_line(read, tmp_path):
    with pytest.raises(ValueError, match=r"cannot read parameters from '.*nowhere.yaml': .*No such file"):
        read_parameters(tmp_path / "nowhere.yaml")
    with pytest.raises(ValueError, match=r"cannot read parameters from '.*': .*expected") as caught:
        read(["samples: [1"])
    assert "\n" not in str(caught.value)


def test_sections_win_as_they_do_for_the_node(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        "/iss_node:\n  ros__parameters:\n    samples: 4\n    grid: 8\n"
        "/left/iss_node:\n  ros__parameters:\n    colour: red\n"
        "/*:\n  iss_node:\n    ros__parameters: {samples: 2}\n"
        "/**:\n  ros__parameters:\n    samples: 16\n"
    )
    assert read_parameters(path)[0] == {"samples": 16, "grid": 8}
    path.write_text("/left/iss_node:\n  ros__parameters:\n    samples: 4\n")
    with pytest.raises(ValueError, match="has no ros__parameters for a node /iss_node"):
        read_parameters(path)


@pytest.mark.parametrize("name", ["samples", "cameras", "state_topic", "colour"])
def test_aliases_that_multiply_are_refused(read, name):
    with pytest.raises(ValueError, match=r"cannot read parameters .* it has aliases") as caught:
        read([f"{name}: *bomb"], alias_bomb())
    assert len(str(caught.value)) < 600
