# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import yaml

from vla_iss_ros.cli.contract_topics import read_contract_topics
from vla_iss_ros.messages.contracts import ContractError

CAMERA = "sensor_msgs/msg/CompressedImage"
JOINTS = "sensor_msgs/msg/JointState"


def contract(path, **state):
    observations = {
        "observation.images.front": {"channel": {"topic": "/f", "type": CAMERA}, **state.pop("front", {})},
        "observation.images.wrist": {"channel": {"topic": "/w", "type": CAMERA}},
        "observation.state": {
            "channel": {"topic": "/j", "type": JOINTS},
            "select": ["position.a", "position.b"],
            "apply": ["rad2deg"],
            **state,
        },
    }
    tasks = {"instruction": {"channel": {"topic": "/t", "type": "std_msgs/msg/String"}}}
    path.write_text(yaml.safe_dump({"observations": observations, "tasks": tasks}))
    return path


def test_topics_names_and_units(tmp_path):
    values, topics = read_contract_topics(contract(tmp_path / "c.yaml"), ["wrist", "front"])
    assert values == {"state_names": ["a", "b"], "state_unit": "deg"}
    assert topics == {"image_topics": "/w,/f", "instruction_topic": "/t", "state_topic": "/j"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"front": {"apply": [{"resize": [8, 8]}]}}, "resizes camera 'front'"),
        ({"select": ["velocity.a"]}, "more than the positions of one JointState"),
    ],
)
def test_what_recordings_are_not_read_with_is_refused(tmp_path, changes, reason):
    with pytest.raises(ContractError, match=reason):
        read_contract_topics(contract(tmp_path / "c.yaml", **changes), ["front", "wrist"])
