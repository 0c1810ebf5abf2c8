# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import stand_in
import torch
from PIL import Image

from vla_iss_ros import settings
from vla_iss_ros.analysis.policy_check import check_policy
from vla_iss_ros.iss.explain import REPEATS, Explainer
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.protocol import Policy, TokenPolicy


@pytest.fixture(scope="module")
def noise():
    return torch.randn(1, 2, 4, generator=torch.Generator().manual_seed(3))


def test_the_server_says_what_its_policy_is(shim_port, connect):
    policy = connect(shim_port)
    assert isinstance(policy, Policy)
    assert not isinstance(policy, TokenPolicy)
    spec = policy.spec
    assert (spec.horizon, spec.noise_shape, spec.shares_noise) == (2, (2, 4), True)
    assert spec.camera_names == ("image", "wrist_image")
    # The stand-in acts by three numbers, libero by seven.
    assert spec.action_names == ("action_0", "action_1", "action_2")
    assert len(spec.state_names) == 8


@pytest.mark.parametrize("function", ["load", "load_batches"])
@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_a_batch_answers_as_calls_in_process_do(shim, connect, see, noise, function, count):
    with shim(f"stand_in:{function}", "--noise-shape", "2", "4", "--rows", "7") as port:
        policy = connect(port)
        base = policy.preprocess(see())
        images = torch.from_numpy(
            np.random.default_rng(count).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
        )
        answers = policy.run_pixels(base, {"image": images.permute(0, 3, 1, 2) / 255}, noise)
    alone = stand_in.StandIn()
    for image, answer in zip(images.numpy(), answers.physical, strict=True):
        observation = {
            "observation/image": image.copy(),
            "observation/wrist_image": see().images["wrist_image"],
            "observation/state": see().state,
            "prompt": "pick it",
        }
        expected = alone.infer(observation, noise=noise[0].numpy())["actions"]
        torch.testing.assert_close(answer, torch.from_numpy(expected), rtol=0, atol=0)
    torch.testing.assert_close(answers.normalised, answers.physical)


def test_no_variant_is_the_observation_itself(shim_port, connect, see, noise):
    policy = connect(shim_port)
    base = policy.preprocess(see())
    one = policy.run_pixels(base, {}, noise)
    rows = {"image": base.images["image"].expand(3, -1, -1, -1)}
    torch.testing.assert_close(policy.run_pixels(base, rows, noise).physical, one.physical.expand(3, 2, 3))


def test_the_planted_cause_ranks_first(shim_port, connect, see):
    chosen = settings.check({"samples": 64, "grid": 4, "estimator": "spatial", "effects": False})
    explanation = Explainer(connect(shim_port), chosen, [see(seed) for seed in (1, 2, 3)]).explain(
        see(images={name: np.full((224, 224, 3), 255, np.uint8) for name in ("image", "wrist_image")})
    )
    assert explanation.shared_noise
    assert explanation.noise_floor == 0
    parts = explanation.cells.by_view(explanation.estimate.contrast)
    inside = parts["image"][:2, :2]
    others = torch.cat(
        [parts["image"][2:].flatten(), parts["image"][:2, 2:].flatten(), parts["wrist_image"].flatten()]
    )
    assert inside.min() > others.abs().max()


def test_every_check_passes_behind_the_shim(shim_port, connect, see, monkeypatch):
    monkeypatch.setattr("vla_iss_ros.analysis.policy_use.WORST_RATIO", float("inf"))
    checks = check_policy(connect(shim_port), [see(seed, (120, 160)) for seed in (0, 1)])
    assert {check.name: check.figure for check in checks if check.status == "FAIL"} == {}
    assert sum(check.status == "pass" for check in checks) == 11


def test_a_stock_server_is_refused_unless_its_noise_is_accepted(stock_port, connect, see):
    with pytest.raises(
        PolicyError, match=r"stock server that draws new noise .* or set allow_unshared_noise"
    ):
        connect(stock_port)
    policy = connect(stock_port, unshared=True)
    assert (policy.spec.shares_noise, policy.spec.noise_shape) == (False, None)
    assert policy.sample_noise(torch.Generator()) is None
    chosen = settings.check({"samples": 32, "grid": 2, "estimator": "hajek", "effects": False})
    explanation = Explainer(policy, chosen, [see(1), see(2)]).explain(see())
    # 0.1 times the difference of two standard normal draws, squared: 0.02 on average.
    assert 0.001 < explanation.noise_floor < 0.2
    assert not explanation.shared_noise
    assert explanation.method.endswith("the policy's noise is not shared")
    assert REPEATS == 8


def test_a_stock_server_of_a_deterministic_policy_is_taken(stock, connect, see):
    with stock("load_plain") as port:
        policy = connect(port)
        assert policy.spec.shares_noise
        base = policy.preprocess(see())
        rows = {"image": torch.stack([base.images["image"][0], torch.zeros(3, 224, 224)])}
        answers = policy.run_pixels(base, rows, None)
        expected = base.images["image"][0, 0, :112, :112].mean()
        torch.testing.assert_close(answers.physical[0], expected.expand(2, 3), atol=1e-4, rtol=0)
        torch.testing.assert_close(answers.physical[1], torch.zeros(2, 3))


def test_actions_are_normalised_by_openpis_own_statistics(shim_port, connect, see, noise, tmp_path):
    file = tmp_path / "norm_stats.json"
    file.write_text(
        json.dumps({"norm_stats": {"actions": {"mean": [1, 2, 3, 0], "std": [0.5, 1, 2, 1], "q01": []}}})
    )
    policy = connect(shim_port, norm_stats=file)
    answers = policy.run_pixels(policy.preprocess(see()), {}, noise)
    expected = (answers.physical - torch.tensor([1.0, 2, 3])) / torch.tensor([0.5, 1, 2])
    torch.testing.assert_close(answers.normalised, expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no norm_stats.actions"),
        ({"norm_stats": {"actions": {"mean": [0], "std": [1]}}}, "must give 3 finite means"),
        ({"norm_stats": {"actions": {"mean": [0, 0, 0], "std": [1, 0, 1]}}}, "deviations above 0"),
        ({"norm_stats": {"actions": {"mean": "abc", "std": [1, 1, 1]}}}, "no norm_stats.actions"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(shim_port, connect, tmp_path, values, message):
    (tmp_path / "s.json").write_text(json.dumps(values))
    with pytest.raises(PolicyError, match=message):
        connect(shim_port, norm_stats=tmp_path / "s.json")
    with pytest.raises(PolicyError, match="cannot be read: No such file"):
        connect(shim_port, norm_stats=tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("nan", "2 actions that are not finite"),
        ("short", r"answered actions \[2, 1, 3\], need \[2, 2, 3\]"),
        ("integers", "actions as an array of floats, got ndarray"),
        ("raise", "failed: KeyError: 'camera'"),
    ],
)
def test_wrong_answers_are_one_line_and_the_next_is_right(shim_port, connect, see, noise, prompt, message):
    policy = connect(shim_port)
    good = policy.preprocess(see())
    rows = {"image": good.images["image"].expand(2, -1, -1, -1)}
    before = policy.run_pixels(good, rows, noise).physical
    with pytest.raises(PolicyError, match=message) as caught:
        policy.run_pixels(policy.preprocess(see(instruction=prompt)), rows, noise)
    assert "\n" not in str(caught.value)
    torch.testing.assert_close(policy.run_pixels(good, rows, noise).physical, before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("junk", "a message of 1 bytes is not msgpack"),
        ("list", "must answer with an object, got list"),
        ("nothing", r"array of floats, got only \[\]"),
        ("object", "array of floats, got str"),
        ("raise", "failed: KeyError: 'camera'"),
    ],
)
def test_what_is_no_answer_is_one_line(stock_port, connect, see, prompt, message):
    policy = connect(stock_port, unshared=True)
    with pytest.raises(PolicyError, match=message):
        policy.run_pixels(policy.preprocess(see(instruction=prompt)), {}, None)
    assert policy.run_pixels(policy.preprocess(see()), {}, None).physical.shape == (1, 2, 3)


def test_a_server_out_of_memory_says_so_in_torchs_words(shim_port, connect, see, noise):
    policy = connect(shim_port)
    with pytest.raises(RuntimeError, match="out of memory"):
        policy.run_pixels(policy.preprocess(see(instruction="memory")), {}, noise)


def test_a_silent_server_is_given_up(shim, connect, see, noise):
    with shim("stand_in:load", "--noise-shape", "2", "4") as port:
        policy = connect(port, timeout=0.5)
        with pytest.raises(PolicyError, match=r"did not answer within 0\.5 s"):
            policy.run_pixels(policy.preprocess(see(instruction="silent")), {}, noise)


def test_a_server_that_dies_is_one_line_and_another_works(shim, shim_port, connect, see, noise):
    with shim("stand_in:load", "--noise-shape", "2", "4") as port:
        policy = connect(port)
        base = policy.preprocess(see())
        with pytest.raises(PolicyError, match=r"broke: .*; start the server again"):
            policy.run_pixels(policy.preprocess(see(instruction="die")), {}, noise)
        for _ in range(2):
            with pytest.raises(PolicyError, match=f"no openpi server at 127.0.0.1:{port}"):
                policy.run_pixels(base, {}, noise)
        with pytest.raises(PolicyError, match="no openpi server at"):
            connect(port)
    assert connect(shim_port).run_pixels(base, {}, noise).physical.shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", r"needs openpi:HOST:PORT, such as openpi:127\.0\.0\.1:8000, got ''"),
        ("localhost", "got 'localhost'"),
        ("localhost:http", "got 'localhost:http'"),
        ("localhost:99999", "got 'localhost:99999'"),
        ("user@localhost:8000", "got 'user@localhost:8000'"),
        ("localhost:80/path", "got 'localhost:80/path'"),
        ("localhost:8000", "needs either preset"),
        ("localhost:8000?preset=droid&layout=x", "needs either preset"),
        ("localhost:8000?preset=r2d2", "preset must be one of droid, libero, aloha, got 'r2d2'"),
        ("localhost:8000?presets=droid", "option 'presets' of policy openpi is unknown; have preset"),
        (
            "localhost:8000?preset=droid&timeout=-1",
            "timeout of policy openpi must be seconds above 0, got '-1'",
        ),
        ("localhost:8000?preset=droid&timeout=soon", "got 'soon'"),
    ],
)
def test_addresses_are_checked_before_anything_is_connected_to(path, message):
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy(f"openpi:{path}", "cpu")
    assert "\n" not in str(caught.value)


def test_observations_that_do_not_fit_are_named(shim_port, connect, see):
    policy = connect(shim_port)
    with pytest.raises(ValueError, match="policy needs camera 'wrist_image'"):
        policy.preprocess(see(images={"image": see().images["image"]}))
    with pytest.raises(ValueError, match="policy needs a state of 8 numbers"):
        policy.preprocess(see(state=np.zeros(3, np.float32)))
    with pytest.raises(ValueError, match="instruction is empty"):
        policy.preprocess(see(instruction=" "))


def test_pictures_keep_their_proportions(shim_port, connect, see):
    base = connect(shim_port).preprocess(see(size=(120, 160)))
    # 224 wide is 168 high, 28 black above and below.
    assert base.content == {"image": (28, 0, 168, 224), "wrist_image": (28, 0, 168, 224)}
    assert base.images["image"].shape == (1, 3, 224, 224)
    assert base.images["image"][..., :28, :].abs().max() == 0
    assert base.images["image"][..., -28:, :].abs().max() == 0
    picture = Image.fromarray(see(size=(120, 160)).images["image"]).resize(
        (224, 168), Image.Resampling.BILINEAR
    )
    expected = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
    torch.testing.assert_close(base.images["image"][0, :, 28:196], expected, atol=1.01 / 255, rtol=0)
    assert connect(shim_port).preprocess(see()).content == {}
