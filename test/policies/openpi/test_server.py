# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The server's side without a socket, and its command line."""

import sys
import types
import urllib.request

import numpy as np
import pytest
import stand_in
import torch

from vla_iss_ros.cli.openpi_server_shim import main
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.openpi.server import Shim, noise_shape_of
from vla_iss_ros.policies.openpi.torch_batches import TorchBatches, batched
from vla_iss_ros.policies.openpi.wire import ABILITIES, BATCH, NOISE


def request(**changes):
    image = np.full((224, 224, 3), 51, np.uint8)
    return {
        "observation/image": image,
        "observation/wrist_image": image,
        "observation/state": np.zeros(8, np.float32),
        "prompt": "go",
        **changes,
    }


def test_requests_without_reserved_keys_are_answered_as_openpi_does():
    answer = Shim(stand_in.StandIn(seed=1), (2, 4)).answer(request())
    assert answer["actions"].shape == (2, 3)
    assert "state" in answer
    np.testing.assert_array_equal(answer["actions"], stand_in.StandIn(seed=1).infer(request())["actions"])


@pytest.mark.parametrize("kind", [stand_in.StandIn, stand_in.InBatches])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_variants_share_the_rest_and_the_noise(kind, count):
    noise = np.ones((2, 4), np.float32)
    # Red of 0, 51, 102, ... of 255: steps of 0.2.
    images = np.repeat(np.arange(count, dtype=np.uint8) * 51, 224 * 224 * 3).reshape(count, 224, 224, 3)
    policy = kind()
    answer = Shim(policy, (2, 4), rows=2).answer(
        request(**{BATCH: {"observation/image": images}, NOISE: noise})
    )
    expected = np.arange(count) * 0.2 + 0.1
    np.testing.assert_allclose(
        answer["actions"], np.broadcast_to(expected[:, None, None], (count, 2, 3)), atol=1e-6
    )
    assert policy.runs == count


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({NOISE: np.ones((3, 4), np.float32)}, r"must be an array \(2, 4\), got \[3, 4\]"),
        ({NOISE: "noise"}, "got str"),
        ({BATCH: {}}, r"arrays of one length above 0, got \[\]"),
        ({BATCH: {"a": np.zeros((0, 2))}}, r"got \[0\]"),
        ({BATCH: {"a": np.zeros(2), "b": np.zeros(3)}}, r"got \[2, 3\]"),
        ({BATCH: {"a": {"b": 1.0}}}, "got float at a/b"),
        ({BATCH: 5}, "got int"),
    ],
)
def test_requests_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        Shim(stand_in.StandIn(), (2, 4)).answer(request(**changes))
    with pytest.raises(ValueError, match="must be an object, got list"):
        Shim(stand_in.StandIn(), (2, 4)).answer([])


def test_what_the_policy_says_of_itself_goes_along():
    assert Shim(stand_in.StandIn(), (2, 4)).metadata == {
        "robot": "stand-in",
        ABILITIES: {"noise_shape": [2, 4]},
    }
    assert Shim(stand_in.Plain(), None).metadata == {ABILITIES: {"noise_shape": None}}
    with pytest.raises(PolicyError, match="infer of Plain takes no noise; say so with --deterministic"):
        Shim(stand_in.Plain(), (2, 4))


def test_the_models_noise_is_found():
    model = types.SimpleNamespace(action_horizon=10, action_dim=32)
    assert noise_shape_of(types.SimpleNamespace(_model=model)) == (10, 32)
    assert noise_shape_of(types.SimpleNamespace(_model=types.SimpleNamespace(config=model))) == (10, 32)
    assert noise_shape_of(stand_in.StandIn()) is None


class TorchPolicy:
    """The parts of openpi's ``Policy`` around a PyTorch model: doubles the state, adds noise, halves the action."""

    _is_pytorch_model, _pytorch_device = True, "cpu"

    def __init__(self):
        self.batches = []
        self._sample_kwargs = {"num_steps": 4}

    def _input_transform(self, observation):
        return {
            "state": np.asarray(observation["state"]) * 2,
            "image": {"base": np.asarray(observation["image"])},
        }

    def _sample_actions(self, device, observation, noise, num_steps):
        assert (device, num_steps) == ("cpu", 4)
        self.batches.append(len(noise))
        return (
            observation["state"][:, None] + observation["image"]["base"].mean((1, 2))[:, None, None] + noise
        )

    def _output_transform(self, data):
        assert data["state"].shape == (2,)
        return {"actions": data["actions"][:, :2] / 2}

    def infer(self, observation, *, noise=None):
        inputs = self._input_transform(observation)
        tensors = {
            "state": torch.from_numpy(inputs["state"])[None],
            "image": {"base": torch.from_numpy(inputs["image"]["base"])[None]},
        }
        actions = self._sample_actions("cpu", tensors, torch.from_numpy(noise)[None], num_steps=4)[0].numpy()
        return self._output_transform({"state": inputs["state"], "actions": actions})


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_pytorch_model_runs_once_for_a_batch(monkeypatch, count):
    model = types.ModuleType("openpi.models.model")
    model.Observation = types.SimpleNamespace(from_dict=lambda values: values)
    for name, module in (("openpi", types.ModuleType("openpi")), ("openpi.models", types.ModuleType("m"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "openpi.models.model", model)
    policy = batched(TorchPolicy())
    assert isinstance(policy, TorchBatches)
    images = np.random.default_rng(0).random((count, 4, 4), np.float32)
    noise = np.random.default_rng(1).random((3, 2), np.float32)
    base = {"state": np.array([1, 2], np.float32), "image": images[0]}
    answer = Shim(policy, (3, 2)).answer({**base, BATCH: {"image": images}, NOISE: noise})["actions"]
    assert policy._policy.batches == [count]
    for image, actions in zip(images, answer, strict=True):
        alone = TorchPolicy().infer({**base, "image": image}, noise=noise)["actions"]
        np.testing.assert_allclose(actions, alone, rtol=1e-6)
    assert batched(policy) is policy
    assert isinstance(batched(stand_in.StandIn()), stand_in.StandIn)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stand_in"], "policy must be MODULE:FUNCTION, got 'stand_in'"),
        (["stand_in:absent"], "did not load a policy: AttributeError"),
        (["no_such_module:load"], "ModuleNotFoundError"),
        (["stand_in:load_nothing"], "must return a policy with infer(observation), got NoneType"),
        (["stand_in:load"], "give --noise-shape HORIZON DIMENSIONS, or --deterministic"),
        (["stand_in:load", "--noise-shape", "0", "4"], "give --noise-shape"),
        (["stand_in:load_plain", "--noise-shape", "2", "4"], "takes no noise"),
    ],
)
def test_what_cannot_be_served_is_one_line(capsys, arguments, message):
    assert main([*arguments, "--port", "0"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("openpi_server_shim: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err


def test_a_port_in_use_is_one_line(shim_port, capsys):
    assert main(["stand_in:load_plain", "--deterministic", "--port", str(shim_port)]) == 2
    assert f"cannot listen at 127.0.0.1:{shim_port}: Address already in use" in capsys.readouterr().err


def test_health_is_answered(shim_port):
    with urllib.request.urlopen(f"http://127.0.0.1:{shim_port}/healthz", timeout=10) as answer:
        assert (answer.status, answer.read()) == (200, b"OK\n")
