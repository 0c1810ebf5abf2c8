# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""OpenVLA's adapter on a tiny random model with OpenVLA's parts."""

import shutil

import numpy as np
import pytest
import torch

from vla_iss_ros import settings
from vla_iss_ros.analysis.policy_check import check_policy
from vla_iss_ros.iss.divergences import REGISTRY
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.permissions import Permissions
from vla_iss_ros.policies.protocol import PathPolicy, TokenPolicy

TOY = "?unnorm_key=toy"
FIRST, END = 32000 - 256, 32000


@pytest.fixture
def policy(openvla_policy):
    return openvla_policy(TOY)


@pytest.fixture
def see(openvla_policy):
    from tiny_openvla import see

    return see


def variants(base, count):
    rows = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(count))
    rows[0] = base.images["front"][0]
    return {"front": rows}


def one_by_one(policy, base, image):
    """Decode as the model's own loop does: one row, no cache, the whole sequence for every token."""
    model, ids = policy._model, base.inputs["ids"]
    (mean, std), (mean_2, std_2) = policy._towers
    pixels = torch.cat([(image - mean) / std, (image - mean_2) / std_2])[None]
    vision = model.projector(model.vision_backbone(pixels))
    all_logits = []
    for _ in range(7):
        text = model.language_model.get_input_embeddings()(ids)
        sequence = torch.cat([text[:, :1], vision, text[:, 1:]], 1)
        logits = model.language_model(inputs_embeds=sequence).logits[0, -1, FIRST:END]
        all_logits.append(logits)
        ids = torch.cat([ids, logits.argmax()[None, None] + FIRST], 1)
    return torch.stack(all_logits), ids[0, -7:]


def test_it_offers_tokens_and_distributions(policy):
    assert isinstance(policy, TokenPolicy)
    assert isinstance(policy, PathPolicy)
    spec = policy.spec
    assert (spec.distribution, spec.horizon, spec.noise_shape) == ("categorical", 1, None)
    assert spec.action_names[-1] == "gripper"
    assert spec.cameras[0].token_grid == (4, 4)
    assert len(spec.weights_hash) == 16


@pytest.mark.parametrize("count", [1, 2, 3])
@torch.inference_mode()
def test_a_batch_decodes_as_each_row_alone(policy, see, count):
    base = policy.preprocess(see())
    images = variants(base, count)
    answers = policy.run_pixels(base, images, None).normalised
    edges = np.linspace(-1, 1, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    low, high = np.full(7, -1.0), np.array([1.0, 2, 3, 4, 5, 6, 1])
    low[6] = 0
    physical = policy.run_pixels(base, images, None).physical
    assert count < 3 or len(answers.unique(dim=0)) == count
    for image, answer, metres in zip(images["front"], answers, physical, strict=True):
        _, ids = one_by_one(policy, base, image)
        # As OpenVLA's predict_action turns ids into actions.
        expected = centres[np.clip(32000 - ids.numpy() - 1, 0, 254)]
        np.testing.assert_allclose(answer[0], expected, atol=1e-6)
        scaled = 0.5 * (expected + 1) * (high - low) + low
        np.testing.assert_allclose(metres[0], np.where(np.arange(7) < 6, scaled, expected), atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
@torch.inference_mode()
def test_forced_logits_of_the_observation_are_the_greedy_ones(policy, see, count):
    base = policy.preprocess(see())
    path = policy.reference_path(base, None)
    logits, ids = one_by_one(policy, base, base.images["front"][0])
    assert path.points.tolist() == [ids.tolist()]
    answers = policy.run_pixels(base, variants(base, count), None, path=path)
    assert answers.distribution.logits.shape == (count, 7, 256)
    torch.testing.assert_close(answers.distribution.logits[0], logits, atol=1e-4, rtol=1e-4)
    plain = policy.run_pixels(base, {}, None).normalised
    torch.testing.assert_close(answers.normalised[:1], plain)


@pytest.mark.parametrize("count", [1, 2, 3])
@torch.inference_mode()
def test_tokens_and_pixels_meet(policy, see, count):
    base = policy.preprocess(see())
    encoded, path = policy.encode(base), policy.reference_path(base, None)
    camera, words = encoded.segments
    assert (camera.start, camera.stop, camera.grid, camera.content) == (1, 17, (4, 4), None)
    # "button" is two tokens.
    assert words.words == ("push", "the", "red", "button")
    assert words.word_of == (0, 1, 2, 3, 3)
    rows = encoded.tokens.expand(count, -1, -1)
    pixels = policy.run_pixels(base, {}, None, path=path)
    tokens = policy.run_tokens(encoded, rows, None, path=path)
    torch.testing.assert_close(
        tokens.distribution.logits, pixels.distribution.logits.expand(count, -1, -1), atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(
        policy.run_tokens(encoded, rows, None).normalised,
        policy.run_pixels(base, {}, None).normalised.expand(count, 1, 7),
    )


@torch.inference_mode()
def test_the_divergence_is_the_kl_of_the_tokens(policy, see):
    base = policy.preprocess(see())
    path = policy.reference_path(base, None)
    answers = policy.run_pixels(base, variants(base, 3), None, path=path)
    found = REGISTRY["categorical_kl"](answers, answers.take(slice(0, 1)))
    p = answers.distribution.logits[0].double().softmax(-1)
    q = answers.distribution.logits.double().softmax(-1)
    torch.testing.assert_close(found.double(), (p * (p / q).log()).sum((1, 2)), rtol=1e-4, atol=1e-5)
    assert found[0] == 0
    assert found[1:].min() > 0


@pytest.mark.parametrize("space", ["pixel", "token"])
def test_the_planted_patch_and_word_rank_first(openvla_policy, see, space):
    seen = 6  # row 1, column 2
    policy = openvla_policy(TOY, seen=seen, word="red")
    chosen = settings.check(
        {
            "space": space,
            "divergence": "categorical_kl",
            "estimator": "leave_one_out",
            "grid": 4,
            "token_block": 1,
            "effects": False,
            "quantise": False,
            "mask_layout": "per_view",
        }
    )
    donors = [
        see(seed, instruction=text) for seed, text in ((1, "pull the blue knob"), (2, "push the red knob"))
    ]
    explanation = Explainer(policy, chosen, donors).explain(see())
    contrast = explanation.cells.by_view(explanation.estimate.contrast)["front"].flatten()
    assert int(contrast.argmax()) == seen
    assert float(contrast[seen]) > 3 * float(contrast.sort().values[-2])
    if space == "token":
        words = {word.word: word.contrast for word in explanation.words}
        assert max(words, key=words.get) == "red"


def test_the_tower_runs_once_a_frame_in_token_space(policy, see, monkeypatch):
    chosen = settings.check({"space": "token", "samples": 32, "token_block": 1, "effects": False})
    explainer = Explainer(policy, chosen, [see(1), see(2)])
    rows, run = [], policy._model.vision_backbone.forward
    monkeypatch.setattr(
        policy._model.vision_backbone, "forward", lambda pixels: (rows.append(len(pixels)), run(pixels))[1]
    )
    explainer.explain(see())
    assert rows == [1]


def test_every_check_passes(policy, see, monkeypatch):
    monkeypatch.setattr("vla_iss_ros.analysis.policy_use.WORST_RATIO", float("inf"))
    checks = check_policy(policy, [see(seed) for seed in range(3)])
    assert {check.name: check.figure for check in checks if check.status == "FAIL"} == {}
    passed = {check.name for check in checks if check.status == "pass"}
    assert {"tokens", "token alignment", "batch invariance", "polarity"} <= passed


def test_letterboxes_are_told(openvla_policy, see):
    policy = openvla_policy(TOY, strategy="letterbox")
    base = policy.preprocess(see(size=(12, 16)))
    assert base.content == {"front": (2, 0, 12, 16)}
    # The last tower's mean, as whole numbers of 255, as OpenVLA's own processor has it.
    fill = torch.full((3,), 127 / 255)
    torch.testing.assert_close(base.images["front"][0, :, 0, 0], fill)
    torch.testing.assert_close(base.images["front"][0, :, 15, 8], fill)
    with torch.inference_mode():
        assert policy.encode(base).segments[0].content == (0.5, 0.0, 3.0, 4.0)


def test_observations_that_do_not_fit_are_named(policy, see):
    with pytest.raises(ValueError, match="policy needs camera 'front'"):
        policy.preprocess(see(images={"wrist": see().images["front"]}))
    with pytest.raises(ValueError, match="instruction is empty"):
        policy.preprocess(see(instruction=" "))


def test_another_camera_name_may_be_chosen(openvla_policy, see):
    policy = openvla_policy("?unnorm_key=other&camera=top")
    assert policy.spec.camera_names == ("top",)
    policy.preprocess(see(images={"top": see().images["front"]}))


@pytest.fixture
def copied(openvla_directory, tmp_path):
    return shutil.copytree(openvla_directory(), tmp_path / "copied_openvla")


def refused(path, message):
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy(f"openvla:{path}{TOY}", "cpu", Permissions(remote_code=True))
    assert "\n" not in str(caught.value)


def test_weights_must_be_all_of_the_models_and_finite(copied):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    save_file(
        {k: v for k, v in tensors.items() if k != "projector.fc1.bias"},
        copied / "model.safetensors",
        {"format": "pt"},
    )
    refused(copied, "no weights for 'projector.fc1.bias' and 0 others")
    save_file({**tensors, "more": torch.zeros(1)}, copied / "model.safetensors", {"format": "pt"})
    refused(copied, "'more' .* the model has no such tensor")
    broken = tensors["projector.fc1.bias"].clone()
    broken[0] = float("nan")
    save_file({**tensors, "projector.fc1.bias": broken}, copied / "model.safetensors", {"format": "pt"})
    refused(copied, "'projector.fc1.bias' .* is not finite")


def test_code_that_fails_is_one_line(copied):
    (copied / "modeling_tiny.py").write_text("raise RuntimeError('first line\\nsecond')\n")
    refused(copied, "did not load: .*first line second.*may need other releases")
    (copied / "modeling_tiny.py").write_text("import no_such_package_of_anybody\n")
    refused(copied, "no_such_package_of_anybody")
