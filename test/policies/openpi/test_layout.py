# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import torch

from vla_iss_ros.iss.observation import Prepared
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.openpi.layout import PRESETS, choose_layout
from vla_iss_ros.policies.openpi.policy import PROMPT, STATE, observation_of

LAYOUT = {
    "cameras": [{"name": "front", "key": ["images", "cam_high"], "size": [6, 8], "order": "chw"}],
    "state": [{"key": ["joints"], "names": ["a", "b"]}, {"key": ["hand", "width"], "names": ["c"]}],
    "prompt": ["prompt"],
    "actions": {"names": ["x"], "units": ["m"]},
}


@pytest.fixture
def write(tmp_path):
    def write(change=None):
        values = json.loads(json.dumps(LAYOUT))
        if change is not None:
            change(values)
        (tmp_path / "layout.json").write_text(json.dumps(values))
        return str(tmp_path / "layout.json")

    return write


def prepared(layout, state):
    images = {camera.name: torch.rand(1, 3, *camera.size) for camera in layout.cameras}
    return Prepared(
        images, {STATE: torch.tensor([state]), PROMPT: torch.tensor([list(b"go on")], dtype=torch.uint8)}
    )


def test_observations_are_built_level_by_level(write):
    layout = choose_layout("", write())
    base = prepared(layout, [1.0, 2.0, 3.0])
    built = observation_of(layout, base)
    assert built["images"]["cam_high"].shape == (3, 6, 8)
    assert built["images"]["cam_high"].dtype == "uint8"
    assert abs(built["images"]["cam_high"] / 255 - base.images["front"][0].numpy()).max() <= 0.51 / 255
    assert (built["joints"].tolist(), built["hand"]["width"].tolist()) == ([1.0, 2.0], [3.0])
    assert built["prompt"] == "go on"
    assert (layout.actions, layout.units) == (("x",), ("m",))


@pytest.mark.parametrize(
    ("preset", "keys", "shape", "numbers"),
    [
        (
            "droid",
            [
                "observation/exterior_image_1_left",
                "observation/gripper_position",
                "observation/joint_position",
                "observation/wrist_image_left",
                "prompt",
            ],
            (224, 224, 3),
            8,
        ),
        (
            "libero",
            ["observation/image", "observation/state", "observation/wrist_image", "prompt"],
            (224, 224, 3),
            8,
        ),
        ("aloha", ["images", "prompt", "state"], (3, 224, 224), 14),
    ],
)
def test_presets_build_what_openpis_examples_hold(preset, keys, shape, numbers):
    layout = PRESETS[preset]
    assert len(layout.state_names) == numbers
    assert len(layout.actions) == len(layout.units)
    built = observation_of(layout, prepared(layout, list(range(numbers))))
    assert sorted(built) == keys
    pictures = built.get("images", {key: built[key] for key in keys if "image" in key})
    assert {picture.shape for picture in pictures.values()} == {shape}


def test_state_and_prompt_may_be_absent(write):
    layout = choose_layout("", write(lambda values: values.update(state=None, prompt=None, actions=None)))
    assert set(observation_of(layout, prepared(layout, [0.0]))) == {"images"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("cameras"), "lacks cameras"),
        (
            lambda values: values["cameras"][0].update(order="nhwc"),
            "order must be one of hwc, chw, got 'nhwc'",
        ),
        (
            lambda values: values["cameras"][0].update(key="image"),
            "key must be a list of one or more strings",
        ),
        (lambda values: values["cameras"].append(values["cameras"][0]), "each camera and each key once"),
        (lambda values: values["state"][0].update(names=[]), r"state\[0\]\.names must be a list"),
        (
            lambda values: values["actions"].update(units=["m", "m"]),
            r"actions\.units must be a list of 1 strings",
        ),
        (lambda values: values.update(more=1), "more is unknown"),
    ],
)
def test_faults_are_named_in_one_line(write, change, message):
    with pytest.raises(PolicyError, match=message) as caught:
        choose_layout("", write(change))
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(PolicyError, match="cannot be read: No such file"):
        choose_layout("", str(tmp_path / "absent"))
    (tmp_path / "l.json").write_text("{")
    with pytest.raises(PolicyError, match="is not JSON"):
        choose_layout("", str(tmp_path / "l.json"))
    (tmp_path / "l.json").write_text(" " * (2**20 + 1))
    with pytest.raises(PolicyError, match="more than 1048576"):
        choose_layout("", str(tmp_path / "l.json"))
