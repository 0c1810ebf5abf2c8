# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from policy_observations import observe
from safetensors.torch import save_file

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.policies.builtin import load_builtin
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.protocol import Policy

CPU = torch.device("cpu")


def test_it_is_a_policy(write_checkpoint):
    policy = load_builtin(write_checkpoint(action_units=json.dumps(["cm", "cm", "cm", "1"])), CPU)
    assert isinstance(policy, Policy)
    assert policy.spec.camera_names == ("front", "wrist")
    assert policy.spec.action_units == ("cm", "cm", "cm", "1")
    assert policy.spec.name == "tiny"
    assert len(policy.spec.weights_hash) == 16
    assert policy.sample_noise(torch.Generator()) is None


def test_it_loads_without_the_compiler_of_torch(write_checkpoint):
    code = (
        "import sys, torch; from pathlib import Path; from vla_iss_ros.policies.builtin import load_builtin; "
        f"load_builtin(Path({str(write_checkpoint())!r}), torch.device('cpu')); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_images_are_area_averaged(write_checkpoint):
    policy = load_builtin(write_checkpoint(), CPU)
    observation = observe()
    prepared = policy.preprocess(observation)
    expected = cv2.resize(
        observation.images["wrist"].astype(np.float32), (16, 16), interpolation=cv2.INTER_AREA
    )
    np.testing.assert_allclose(prepared.images["wrist"][0].permute(1, 2, 0) * 255, expected, atol=1e-2)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_resize_is_what_preprocess_does(write_checkpoint, count):
    policy = load_builtin(write_checkpoint(), CPU)
    frames = [observe(seed) for seed in range(count)]
    stacked = np.stack([frame.images["front"] for frame in frames]).transpose(0, 3, 1, 2)
    small = policy.resize({"front": torch.from_numpy(stacked).float() / 255})
    assert set(small) == {"front"}
    expected = torch.cat([policy.preprocess(frame).images["front"] for frame in frames])
    torch.testing.assert_close(small["front"], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_pixel_runs_equal_the_network(write_checkpoint, count):
    policy = load_builtin(write_checkpoint(), CPU)
    base = policy.preprocess(observe())
    front = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    actions = policy.run_pixels(base, {"front": front}, None)
    for row in range(count):
        images = torch.stack([front[row], base.images["wrist"][0]])[None]
        alone = policy.network(images, base.inputs["words"], base.inputs["state"])
        torch.testing.assert_close(actions.normalised[row : row + 1], alone, atol=1e-5, rtol=1e-5)


def test_physical_units(write_checkpoint):
    def change(tensors):
        tensors["action_mean"] = torch.tensor([1.0, 2, 3, 4])
        tensors["action_std"] = torch.tensor([2.0, 2, 2, 2])

    policy = load_builtin(write_checkpoint(change), CPU)
    actions = policy.run_pixels(policy.preprocess(observe()), {}, None)
    expected = actions.normalised * 2 + torch.tensor([1.0, 2, 3, 4])
    torch.testing.assert_close(actions.physical, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {"front": np.zeros((8, 8, 3), np.uint8)}}, r"needs camera 'wrist', got \['front'\]"),
        ({"instruction": "  "}, "instruction is empty; send one"),
        ({"state": None}, "state of 4 numbers .* got None"),
        ({"state": np.zeros(3, np.float32)}, r"state of 4 numbers .* got \[3\]"),
    ],
)
def test_what_does_not_fit_is_named(write_checkpoint, changes, message):
    policy = load_builtin(write_checkpoint(), CPU)
    with pytest.raises(ValueError, match=message):
        policy.preprocess(observe(**changes))


def test_mixing_at_the_cameras_size_is_mixing_at_its_own_where_they_are_equal(write_checkpoint):
    policy = load_builtin(write_checkpoint(), CPU)
    maps = [
        Explainer(
            policy,
            settings.check({"samples": 64, "effects": False, "composite_resolution": resolution}),
            [observe(seed, size=16) for seed in range(3)],
        )
        .explain(observe(size=16))
        .estimate.contrast
        for resolution in ("policy", "camera")
    ]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-4, atol=1e-9)


def test_it_can_be_explained(write_checkpoint):
    policy = load_builtin(write_checkpoint(), CPU)
    chosen = settings.check({"samples": 32, "block_size": 16})
    result = Explainer(policy, chosen, [observe(1, instruction="press"), observe(2)]).explain(observe())
    assert result.noise_floor < 1e-10
    assert {effect.name for effect in result.effects} == {
        "front",
        "wrist",
        "instruction",
        "state",
        "everything",
    }
    assert result.estimate.contrast.abs().max() > 0


def test_unusable_files_are_named_in_one_line(write_checkpoint, tmp_path):
    def message(path):
        with pytest.raises(PolicyError) as caught:
            load_builtin(path, CPU)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no checkpoint at" in message(tmp_path / "absent.safetensors")
    path = write_checkpoint()
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    assert "not a readable safetensors file" in message(path)
    path.write_bytes(b"\x00" * 40)
    assert "not a readable safetensors file" in message(path)
    path.write_bytes(b"")
    assert "not a readable safetensors file" in message(path)
    save_file({"a": torch.zeros(1)}, path)
    assert "has format None" in message(path)
    path = write_checkpoint(lambda tensors: tensors.pop("queries"))
    assert "does not fit its configuration" in message(path)
    path = write_checkpoint(config=json.dumps({"unknown": 1}))
    assert "does not fit its configuration" in message(path)
    for config in ("[]", "not json", json.dumps({"patch_size": 0}), json.dumps({"layers": "2"})):
        assert "does not fit its configuration" in message(write_checkpoint(config=config))
    assert "tiny.safetensors" in message(write_checkpoint(action_names="not json"))
    path = write_checkpoint(lambda tensors: tensors["queries"].fill_(float("nan")))
    assert "not finite in 'queries'" in message(path)
    path = write_checkpoint(action_names=json.dumps(["x"]))
    assert "action_names in the checkpoint must be 4 names, got ['x']" in message(path)
