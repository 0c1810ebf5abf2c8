# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Contracts in both of rosetta's forms, made by hand after its documentation."""

import pytest
import yaml
from yaml_factory import alias_bomb

from vla_iss_ros.messages import contracts
from vla_iss_ros.messages.contracts import ContractError, read_contract
from vla_iss_ros.messages.sources import JOINT_STATE, ImageSource, StateSource

MAPPING = """
robot_type: arm
fps: 30
x-qos: &qos {reliability: best_effort, depth: 10}
observations:
  observation.images.front:
    channel: {topic: /front/compressed, type: sensor_msgs/msg/CompressedImage, qos: *qos}
    align: {strategy: hold, timeline: header}
    apply: [resize: [512, 640]]
  observation.images.wrist.right:
    channel: {topic: /wrist, type: sensor_msgs/msg/Image}
  observation.state:
    - channel: {topic: /arm, type: sensor_msgs/msg/JointState}
      select: [position.pan, velocity.pan]
      apply: [rad2deg]
    - channel: {topic: /odom, type: nav_msgs/msg/Odometry}
      select: [twist.twist.linear.x]
  observation.battery:
    channel: {topic: /battery, type: std_msgs/msg/Float32}
actions:
  action:
    channel: {topic: /commands, type: sensor_msgs/msg/JointState}
    select: [position.pan]
tasks:
  task:
    channel: {topic: /task_prompt, type: std_msgs/msg/String}
"""

LIST = """
name: arm
rate_hz: 20.0
observations:
  - key: observation.images.front
    topic: /front
    type: sensor_msgs/msg/Image
    image: {resize: [224, 224]}
  - key: observation.state
    topic: /joint_states
    type: sensor_msgs/msg/JointState
    selector: {names: [pan, lift], field: velocity}
    unit_conversion: rad2deg
tasks:
  - {key: task.policy, topic: /task/policy, type: std_msgs/msg/String}
  - {key: task.instructions, topic: /task/instructions, type: std_msgs/msg/String}
"""


@pytest.fixture
def read(tmp_path):
    def write_and_read(text):
        path = tmp_path / "contract.yaml"
        path.write_text(text)
        return read_contract(path)

    return write_and_read


def test_the_mapping_form(read):
    contract = read(MAPPING)
    assert contract.images == {
        "front": ImageSource("/front/compressed", True, (512, 640)),
        "wrist.right": ImageSource("/wrist", False, None),
    }
    assert contract.state == (
        StateSource("/arm", JOINT_STATE, ("position.pan", "velocity.pan"), True),
        StateSource("/odom", "nav_msgs/msg/Odometry", ("twist.twist.linear.x",), False),
    )
    assert contract.instruction == "/task_prompt"
    assert contract.image("observation.images.front") == contract.image("front")


def test_the_list_form(read):
    contract = read(LIST)
    assert contract.images == {"front": ImageSource("/front", False, (224, 224))}
    assert contract.state == (
        StateSource("/joint_states", JOINT_STATE, ("velocity.pan", "velocity.lift"), True),
    )
    assert contract.instruction == "/task/instructions"


def test_a_contract_without_tasks_names_no_instruction(read):
    assert read(MAPPING[: MAPPING.index("tasks:")]).instruction == ""


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (("resize: [512, 640]", "resize: [512]"), r"front: resize must be \[height, width\] in \[1, 8192\]"),
        (("resize: [512, 640]", "resize: [512, 64000]"), "got .512, 64000."),
        (("resize: [512, 640]", "crop: [1, 2]"), "operator 'crop' of images is not known; known: resize"),
        (
            ("[rad2deg]", "[clamp: {min: 0, max: 1}]"),
            "operator 'clamp' of states is not known; known: rad2deg",
        ),
        (("topic: /arm, ", ""), "observation.state: needs topic and type as texts, got None"),
        (("select: [position.pan, velocity.pan]", "select: []"), "must select at least one name"),
        (
            ("type: sensor_msgs/msg/JointState}\n      select", "type: a, decoder: 'm:f'}\n      select"),
            "are not run",
        ),
        (("observations:", "observation:"), "has no observations"),
        (("observations:", "observations: 5\nother:"), "observations must be a mapping or a list, got int"),
        (("x-qos: &qos", "x-qos: !!python/object/apply:os.system ['true']\ny: &qos"), "cannot read contract"),
        (("robot_type: arm", "robot_type: [arm"), "cannot read contract"),
        (("robot_type: arm", "robot_type: 2001-99-99"), "cannot read contract .*month must be in 1"),
        (("[rad2deg]", "5"), "observation.state: apply must be a list, got 5"),
        (("[rad2deg]", "[[rad2deg]]"), r"operator \['rad2deg'\] of states is not known"),
        (("[resize: [512, 640]]", "[resize: [0x" + "f" * 9000 + ", 1]]"), "got .<int of 36000 bits>, 1.$"),
        (("[position.pan, velocity.pan]", "{field: [a], names: [b]}"), "field must be a text .* got .'a'."),
        (
            ("[position.pan, velocity.pan]", "{field: " + "f" * 9000 + ", names: [b]}"),
            "field must be a text of at most 200 characters, got 'ffff",
        ),
        (
            ("  observation.images.front:\n", f'  ? "a\\n{"k" * 9000}"\n  : topic: 5\n    type: 5\n  b:\n'),
            r"a.nkkk.*: needs topic and type as texts, got 5 and 5",
        ),
    ],
)
def test_what_cannot_be_used_is_named(read, change, match):
    assert change[0] in MAPPING
    with pytest.raises(ContractError, match=match) as caught:
        read(MAPPING.replace(*change, 1))
    assert "contract.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_camera_or_a_file_that_is_not_there_is_named(read, tmp_path):
    with pytest.raises(ContractError, match=r"has no camera 'head'; it has front, wrist\.right"):
        read(MAPPING).image("head")
    with pytest.raises(ContractError, match="cannot read contract"):
        read_contract(tmp_path / "nowhere.yaml")
    with pytest.raises(ContractError, match="must have at most 1000000 bytes"):
        read("a" * 1_000_001)


def test_aliases_that_multiply_are_refused(read):
    with pytest.raises(
        ContractError, match=r"cannot read contract .* with its aliases written out, got "
    ) as caught:
        read(alias_bomb() + MAPPING.replace("[rad2deg]", "*bomb"))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "place",
    [
        ("[512, 640]", "*bomb"),
        ("[resize: [512, 640]]", "*bomb"),
        ("[position.pan, velocity.pan]", "*bomb"),
        ("[position.pan, velocity.pan]", "{field: *bomb, names: [a]}"),
        ("/arm,", "*bomb ,"),
        ("{topic: /wrist, type: sensor_msgs/msg/Image}", "*bomb"),
        ("fps: 30\n", "observations: *bomb\nfps: 30\n"),
        ("type: sensor_msgs/msg/JointState}", "type: a, decoder: *bomb}"),
    ],
)
def test_errors_do_not_write_out_aliases(place):
    # Past the limit of files: whatever wrote the bomb out would not end.
    assert place[0] in MAPPING
    text = MAPPING if not place[0].startswith("fps") else MAPPING.replace("observations:", "others:")
    with pytest.raises(ContractError) as caught:
        contracts._contract(yaml.safe_load(alias_bomb() + text.replace(*place, 1)))
    assert len(str(caught.value)) < 600
