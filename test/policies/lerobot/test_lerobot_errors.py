# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a directory or an observation is said in one line, with the value and the remedy."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.lerobot.loader import load_lerobot

CPU = torch.device("cpu")


@pytest.fixture
def tiny(lerobot_policies):
    import tiny_lerobot

    return tiny_lerobot


@pytest.fixture
def copy(lerobot_policies, tmp_path):
    """Return a copy of a tiny ACT that a test may damage."""
    return shutil.copytree(lerobot_policies("act"), tmp_path / "copy")


def edit(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def edit_weights(directory, change):
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors")


def refused(directory, message):
    with pytest.raises(PolicyError, match=message) as caught:
        load_lerobot(directory, CPU)
    assert "\n" not in str(caught.value)


def test_a_configuration_of_another_version_is_refused(copy):
    edit(copy / "config.json", lambda values: values.update(thinking_budget=3))
    refused(copy, r"config.json' does not fit lerobot .*thinking_budget.*install the version")


def test_weights_of_another_architecture_are_refused(copy):
    edit(copy / "config.json", lambda values: values.update(n_encoder_layers=3))
    refused(copy, r"lacks 'model.encoder.layers.2.* it is of another architecture")


def test_weights_that_the_architecture_lacks_are_refused(copy):
    edit_weights(copy, lambda tensors: tensors.update(extra=torch.zeros(1)))
    refused(copy, "holds 'extra' and 0 others that the architecture of config.json does not have")


def test_weights_of_other_shapes_are_refused(copy):
    edit(copy / "config.json", lambda values: values.update(dim_feedforward=32))
    refused(copy, "does not load with lerobot .*size mismatch")


def test_weights_that_are_not_finite_are_refused(copy):
    def change(tensors):
        tensors["model.action_head.bias"][0] = float("nan")

    edit_weights(copy, change)
    refused(copy, "holds values that are not finite in 'model.action_head.bias'")


def test_weights_that_are_no_safetensors_are_refused(copy):
    (copy / "model.safetensors").write_bytes(b"not at all")
    refused(copy, "does not load with lerobot")


def test_weights_that_the_library_swallows_are_found(copy, monkeypatch):
    from lerobot.policies.act.modeling_act import ACTPolicy

    # As the classes of pi0 do when their file does not fit.
    monkeypatch.setattr(ACTPolicy, "from_pretrained", classmethod(lambda cls, path, config: cls(config)))
    refused(copy, "LeRobot did not take 'model.* and goes on with other values")


def test_missing_statistics_are_refused(copy):
    name = next(path.name for path in copy.iterdir() if "unnormalizer" in path.name)
    tensors = load_file(copy / name)
    save_file({key: value for key, value in tensors.items() if key != "action.std"}, copy / name)
    refused(copy, "normalises 'action' by std, which must be finite numbers, got none")


def test_statistics_that_are_not_finite_are_refused(copy):
    name = next(path.name for path in copy.iterdir() if "_normalizer" in path.name)
    tensors = load_file(copy / name)
    tensors["observation.state.mean"][1] = float("inf")
    save_file(tensors, copy / name)
    refused(copy, r"normalises 'observation.state' by mean, which must be finite numbers, got \[")


def test_a_state_of_another_size_is_refused(lerobot_policy, tiny):
    observation = tiny.observe(state=np.zeros(7, np.float32))
    with pytest.raises(ValueError, match=r"needs a state of 6 numbers .* got \[7\]"):
        lerobot_policy("act").preprocess(observation)


def test_other_camera_names_are_refused(lerobot_policy, tiny):
    images = tiny.observe().images
    observation = dataclasses.replace(
        tiny.observe(), images={"front": images["front"], "top": images["wrist"]}
    )
    with pytest.raises(ValueError, match=r"policy needs camera 'wrist', got \['front', 'top'\]"):
        lerobot_policy("act").preprocess(observation)


def test_images_of_other_proportions_are_refused(lerobot_policy, tiny):
    with pytest.raises(ValueError, match="camera 'front' gives 96 x 96, the policy was trained on 96 x 128"):
        lerobot_policy("act").preprocess(tiny.observe(size=(96, 96)))


def test_actions_that_are_not_finite_are_refused(copy, tiny):
    policy = load_lerobot(copy, CPU)
    with torch.no_grad():
        policy.network.model.action_head.bias.fill_(float("nan"))
    actions = policy.run_pixels(policy.preprocess(tiny.observe()), {}, None)
    with pytest.raises(ValueError, match="40 actions that are not finite; check its weights"):
        actions.require_finite()


def test_names_beside_the_policy_are_used(copy):
    names = {
        "action_names": ["x", "y", "z", "yaw", "grip"],
        "action_units": ["m", "m", "m", "rad", "1"],
        "state_names": [f"joint_{index}" for index in range(6)],
    }
    (copy / "vla_iss_names.json").write_text(json.dumps(names))
    spec = load_lerobot(copy, CPU).spec
    assert spec.action_names == tuple(names["action_names"])
    assert spec.action_units == tuple(names["action_units"])
    assert spec.state_names == tuple(names["state_names"])


def test_names_of_another_count_are_refused(copy):
    names = {"action_names": ["x"], "action_units": ["m"], "state_names": ["a"]}
    (copy / "vla_iss_names.json").write_text(json.dumps(names))
    refused(copy, "action_names in .* must be 5 names, got 1")


def test_renamed_cameras_go_by_the_robots_names(copy, tiny):
    def change(values):
        for step in values["steps"]:
            if step["registry_name"] == "rename_observations_processor":
                step["config"]["rename_map"] = {"observation.images.gripper": "observation.images.wrist"}

    edit(copy / "policy_preprocessor.json", change)
    policy = load_lerobot(copy, CPU)
    assert policy.spec.camera_names == ("front", "gripper")
    images = tiny.observe().images
    observation = dataclasses.replace(
        tiny.observe(), images={"front": images["front"], "gripper": images["wrist"]}
    )
    assert policy.run_pixels(policy.preprocess(observation), {}, None).normalised.isfinite().all()


def test_a_configuration_that_does_not_run_is_found_when_it_is_loaded(copy):
    def change(values):
        for step in values["steps"]:
            if step["registry_name"] == "normalizer_processor":
                step["config"]["eps"] = "x"

    edit(copy / "policy_preprocessor.json", change)
    refused(copy, "does not run on 3 rows of what its config.json says: TypeError")
