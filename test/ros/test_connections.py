# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How publishers that do not fit are called."""

from types import SimpleNamespace

import pytest

from vla_iss_ros.ros.connections import UNNAMED, _name


@pytest.mark.parametrize(
    ("namespace", "name", "called"),
    [
        ("/", "camera", "/camera"),
        ("/left", "camera", "/left/camera"),
        ("_NODE_NAMESPACE_UNKNOWN_", "_NODE_NAME_UNKNOWN_", UNNAMED),
    ],
)
def test_a_publisher_is_called_by_its_node_or_said_to_be_unknown(namespace, name, called):
    assert _name(SimpleNamespace(node_namespace=namespace, node_name=name)) == called
