# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""SmolVLA, pi0 and pi0.5 beside the library's own way: noise, tokens, velocities, words, padding."""

import dataclasses
import json
import math
import shutil

import pytest
import torch

from vla_iss_ros import settings
from vla_iss_ros.iss.distributions import euler_widths
from vla_iss_ros.iss.divergences import REGISTRY
from vla_iss_ros.iss.explain import Explainer
from vla_iss_ros.iss.token_cells import TokenCells
from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, STATE, TEMPLATE
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.lerobot.shadowing import shadowed
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.protocol import AttentionPolicy, KnockOutPolicy, PathPolicy, TokenPolicy

FAMILIES = ("smolvla", "pi0", "pi05")
TEXT = "pick up the red cube"


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def tiny(lerobot_policies):
    import tiny_lerobot

    return tiny_lerobot


@pytest.fixture
def policy(family, lerobot_policy):
    return lerobot_policy(family)


@pytest.fixture
def base(policy, tiny):
    return policy.preprocess(tiny.observe())


@pytest.fixture
def noise(policy):
    return policy.sample_noise(torch.Generator().manual_seed(3))


def vision_tower(policy):
    """Return the module of the library that turns pixels into features."""
    model = policy.network.model
    if hasattr(model, "vlm_with_expert"):
        return model.vlm_with_expert.get_vlm_model().vision_model
    return model.paligemma_with_expert.paligemma.model.vision_tower


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_it_answers_as_the_library_does(policy, tiny, base, noise, rows):
    batch = policy.processors._pre(tiny.raw(tiny.observe()))
    theirs = policy.network.predict_action_chunk(batch, noise=noise)
    images = {name: image.expand(rows, -1, -1, -1) for name, image in base.images.items()}
    ours = policy.run_pixels(base, images, noise)
    torch.testing.assert_close(ours.normalised, theirs.expand(rows, -1, -1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        ours.physical, policy.processors._post(theirs).expand(rows, -1, -1), rtol=1e-4, atol=1e-4
    )


def test_the_robots_queue_is_left_alone_and_nothing_stays_in_its_place(policy, base, noise):
    encoded = policy.encode(base)
    policy.run_tokens(encoded, encoded.tokens, noise, path=policy.reference_path(base, noise))
    assert not policy.network._queues["action"]
    for owner in (policy.network, policy.network.model, policy.tower):
        names = (
            "embed_image",
            "embed_language_tokens",
            "denoise_step",
            "sample_actions",
            policy.prepare_name,
        )
        assert not set(names) & set(vars(owner))


def test_images_lie_in_the_letterbox_that_the_library_makes(policy, tiny, base):
    raw = policy.processors._pre(tiny.raw(tiny.observe()))
    theirs, _ = getattr(policy.network, policy.prepare_name)(raw)
    for (name, image), other in zip(base.images.items(), theirs, strict=True):
        torch.testing.assert_close(image * 2 - 1, other, rtol=0, atol=1e-6)
        top, left, height, width = base.content[name]
        assert (height, width) == (policy.spec.cameras[0].input_size[0] * 3 // 4, image.shape[-1])
        assert top == (image.shape[-2] - height) // (2 if policy.config.type != "smolvla" else 1)
        assert left == 0


def test_it_offers_tokens_and_a_path(policy):
    assert isinstance(policy, TokenPolicy)
    assert isinstance(policy, PathPolicy)
    assert policy.spec.distribution == "flow"
    assert policy.spec.noise_shape == (6, 8)  # steps, padded action dimensions


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tokens_as_they_are_give_the_answer_to_pixels(policy, base, noise, rows):
    encoded = policy.encode(base)
    answers = policy.run_tokens(encoded, encoded.tokens.expand(rows, -1, -1), noise).normalised
    pixels = policy.run_pixels(base, {}, noise).normalised
    torch.testing.assert_close(answers, pixels.expand(rows, -1, -1), rtol=1e-4, atol=1e-5)


def test_token_rows_do_not_see_each_other(policy, base, noise):
    encoded = policy.encode(base)
    tokens = encoded.tokens.repeat(3, 1, 1)
    tokens[1, 3] = 0
    tokens[2, -3] = 0
    together = policy.run_tokens(encoded, tokens, noise).normalised
    apart = [policy.run_tokens(encoded, row[None], noise).normalised for row in tokens]
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-5)
    assert (together[1:] - together[:1]).abs().amax((1, 2)).min() > 1e-6


def test_the_vision_tower_runs_once_a_camera_and_not_for_tokens(policy, base, noise):
    runs = []
    watching = vision_tower(policy).register_forward_hook(lambda *_: runs.append(1))
    encoded = policy.encode(base)
    policy.run_tokens(encoded, encoded.tokens.expand(7, -1, -1), noise)
    watching.remove()
    assert len(runs) == len(policy.spec.cameras)


def test_padding_of_text_is_dropped_and_words_have_their_tokens(policy, family, base):
    encoded = policy.encode(base)
    text = [segment for segment in encoded.segments if segment.kind != CAMERA]
    (words,) = [segment for segment in text if segment.kind == INSTRUCTION]
    assert words.words == base.words == tuple(TEXT.split())
    ids = base.inputs["observation.language.tokens"][0].tolist()
    tokenizer = policy.processors.tokenizer.input_tokenizer
    assert tokenizer.pad_token_id not in ids
    first = text[0].start
    for index, word in enumerate(words.words):
        own = [ids[words.start - first + k] for k, owner in enumerate(words.word_of) if owner == index]
        assert tokenizer.decode(own).strip() == word
    assert text[-1].stop == encoded.tokens.shape[1]
    expected = (
        [TEMPLATE, INSTRUCTION, TEMPLATE, STATE, TEMPLATE] if family == "pi05" else [INSTRUCTION, TEMPLATE]
    )
    assert [segment.kind for segment in text] == expected


def test_the_states_digits_are_a_segment_of_their_own(lerobot_policy, tiny):
    policy = lerobot_policy("pi05")
    observation = tiny.observe()
    base = policy.preprocess(observation)
    (state,) = [segment for segment in policy.encode(base).segments if segment.kind == STATE]
    first = sum(camera.token_grid[0] * camera.token_grid[1] for camera in policy.spec.cameras)
    ids = base.inputs["observation.language.tokens"][0].tolist()
    digits = policy.processors.tokenizer.input_tokenizer.decode(ids[state.start - first : state.stop - first])
    # Quantiles -2 and 2 go to -1 and 1, in 256 bins.
    bins = [math.floor((min(max(value / 2, -1), 1 - 1e-9) + 1) * 128) for value in observation.state]
    assert [int(number) for number in digits.split()] == bins


def test_padding_around_the_picture_is_no_cell(policy, base):
    cells = TokenCells.over(policy.encode(base), 1)
    assert [camera.token_grid for camera in policy.spec.cameras] == [(4, 4), (4, 4)]
    # A picture of 96 x 128 fills three quarters of a square: rows 1 to 4 of SmolVLA's; 0.5 to 3.5 of pi0's, where the
    # centre of the last row of patches lies on the edge, and is out.
    expected = (1, 4) if policy.config.type == "smolvla" else (0, 3)
    for view in cells.views:
        assert (view.first[0], view.last[0]) == expected
        assert (view.first[1], view.last[1]) == (0, 4)


def test_the_path_is_the_librarys_own(policy, base, noise):
    path = policy.reference_path(base, noise)
    torch.testing.assert_close(path.times, torch.tensor([1.0, 0.75, 0.5, 0.25]))
    torch.testing.assert_close(path.points[:, 0], noise)
    actions = policy.run_pixels(base, {}, noise, path=path)
    found = actions.distribution
    assert found.values.shape == (1, 4, 6, 5)
    torch.testing.assert_close(found.widths, euler_widths(path.times))
    # Euler steps along these velocities lead from point to point, and to the action.
    ahead = path.points[..., :5] - found.values / 4
    torch.testing.assert_close(ahead[:, :-1], path.points[:, 1:, :, :5], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ahead[:, -1], actions.normalised, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_velocities_are_asked_for_at_one_place(policy, tiny, base, noise, rows):
    path = policy.reference_path(base, noise)
    images = tiny.variants(policy, base, rows)
    answers = policy.run_pixels(base, images, noise, path=path)
    plain = policy.run_pixels(base, images, noise)
    torch.testing.assert_close(answers.normalised, plain.normalised, rtol=1e-4, atol=1e-5)
    deltas = REGISTRY["flow_path_kl"](answers, answers.take(slice(0, 1)))
    assert float(deltas[0]) == 0
    assert (deltas[1:] > 0).all()
    encoded = policy.encode(base)
    tokens = policy.run_tokens(encoded, encoded.tokens.expand(rows, -1, -1), noise, path=path).distribution
    expected = answers.distribution.values[:1].expand(rows, -1, -1, -1)
    torch.testing.assert_close(tokens.values, expected, rtol=1e-4, atol=1e-5)


def test_gradients_go_through_tokens(policy, base, noise):
    encoded = policy.encode(base)
    tokens = encoded.tokens.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(policy.run_tokens(encoded, tokens, noise).normalised.sum(), tokens)
    assert float(gradient.abs().max()) > 0


def plant(policy, base, patch, word):
    """Return what lets the policy see nothing of the prefix but one patch of the second camera and one word."""
    encoded = policy.encode(base)
    cameras = [segment for segment in encoded.segments if segment.kind == CAMERA]
    (words,) = [segment for segment in encoded.segments if segment.kind == INSTRUCTION]
    text = cameras[-1].stop
    (place,) = [words.start - text + k for k, owner in enumerate(words.word_of) if owner == word]
    number = int(base.inputs["observation.language.tokens"][0, place])
    embed_prefix = policy.network.model.embed_prefix

    def blind(images, masks, tokens, *others, **named):
        embeddings, pads, attention = embed_prefix(images, masks, tokens, *others, **named)
        visible = torch.zeros_like(pads, dtype=torch.bool)
        visible[:, cameras[1].start + patch] = True
        visible[:, text : text + tokens.shape[1]] = tokens == number
        return embeddings, pads & visible, attention

    return shadowed(policy.network.model, embed_prefix=blind)


def forget_neighbours(policy):
    """Make every image token depend on its own patch of pixels alone: attention and the rest of a layer add nothing."""
    with torch.no_grad():
        for name, parameter in vision_tower(policy).named_parameters():
            if any(part in name for part in ("out_proj", "fc2")) and "head" not in name:
                parameter.zero_()


@pytest.mark.parametrize("space", ["pixel", "token"])
def test_a_planted_patch_and_word_rank_first(family, lerobot_policies, tiny, space):
    directory = lerobot_policies(family)
    with tiny.loadable(family):
        policy = load_policy(f"lerobot:{directory}", "cpu")
    forget_neighbours(policy)
    observation = tiny.observe()
    base = policy.preprocess(observation)
    rows, columns = policy.spec.cameras[0].token_grid
    middle, word = (rows // 2) * columns + 1, 3  # row and column of a patch within the picture; "red"
    donors = [tiny.observe(seed, instruction=text) for seed, text in ((1, "open the drawer"), (2, TEXT))]
    chosen = settings.check(
        {
            "space": space,
            "estimator": "leave_one_out",
            "effects": False,
            "words": True,
            "token_block": 1,
            "grid": 2 * rows,
            "baseline": "donor",
            "samples": 1000,
            "quantise": False,
        }
    )
    with plant(policy, base, middle, word):
        found = Explainer(policy, chosen, donors).explain(observation)
    assert _strongest(found, policy, base) == pytest.approx((1, rows // 2 + 0.5, 1.5), abs=0.76)
    said = {each.word: each.contrast for each in found.words}
    assert max(said, key=said.get) == TEXT.split()[word]
    assert sorted(said.values())[-2] < max(said.values()) / 10


def _strongest(found, policy, base):
    """Return the camera, row and column, in tokens, of the middle of the strongest place."""
    size = policy.spec.cameras[0].input_size
    maps = [torch.from_numpy(found.contrast_map(name, (384, 512))) for name in policy.spec.camera_names]
    camera = max(range(len(maps)), key=lambda index: float(maps[index].max()))
    place = (maps[camera] > 0.95 * maps[camera].max()).nonzero().double().mean(0) + 0.5
    top, left, height, width = base.content[policy.spec.camera_names[camera]]
    rows, columns = policy.spec.cameras[0].token_grid
    row = (top + float(place[0]) * height / 384) * rows / size[0]
    column = (left + float(place[1]) * width / 512) * columns / size[1]
    return camera, row, column


def test_slots_without_a_camera_are_masked(tiny, tmp_path):
    directory = tiny.save_smolvla(tmp_path / "empty", empty_cameras=1)
    policy = load_policy(f"lerobot:{directory}", "cpu")
    assert policy.spec.camera_names == tiny.CAMERAS
    base = policy.preprocess(tiny.observe())
    noise = policy.sample_noise(torch.Generator().manual_seed(0))
    encoded = policy.encode(base)
    assert len([segment for segment in encoded.segments if segment.kind == CAMERA]) == 2
    tokens = policy.run_tokens(encoded, encoded.tokens.expand(2, -1, -1), noise).normalised
    pixels = policy.run_pixels(base, {}, noise).normalised
    torch.testing.assert_close(tokens, pixels.expand(2, -1, -1), rtol=1e-4, atol=1e-5)


def test_tokens_around_images_are_the_policys_own(tiny, tmp_path):
    directory = tiny.save_smolvla(tmp_path / "special", add_image_special_tokens=True)
    policy = load_policy(f"lerobot:{directory}", "cpu")
    base = policy.preprocess(tiny.observe())
    noise = policy.sample_noise(torch.Generator().manual_seed(0))
    encoded = policy.encode(base)
    tokens = policy.run_tokens(encoded, encoded.tokens.expand(2, -1, -1), noise).normalised
    pixels = policy.run_pixels(base, {}, noise).normalised
    torch.testing.assert_close(tokens, pixels.expand(2, -1, -1), rtol=1e-4, atol=1e-5)


def test_a_policy_made_from_a_pretrained_model_keeps_that_models_precision(tiny, tmp_path):
    def halve(network):
        network.model.vlm_with_expert.vlm.to(torch.bfloat16)

    directory = tiny.save_smolvla(tmp_path / "halved", halve)
    values = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**values, "load_vlm_weights": True}))
    policy = load_policy(f"lerobot:{directory}", "cpu")
    model = policy.network.model
    assert {parameter.dtype for parameter in model.vlm_with_expert.vlm.parameters()} == {torch.bfloat16}
    assert model.action_out_proj.weight.dtype == torch.float32
    base = policy.preprocess(tiny.observe())
    noise = policy.sample_noise(torch.Generator().manual_seed(0))
    encoded = policy.encode(base)
    assert encoded.tokens.dtype == torch.bfloat16
    tokens = policy.run_tokens(encoded, encoded.tokens, noise).normalised
    assert tokens.dtype == torch.float32
    torch.testing.assert_close(tokens, policy.run_pixels(base, {}, noise).normalised, rtol=1e-4, atol=1e-5)


def test_an_empty_instruction_is_refused(policy, tiny):
    observation = dataclasses.replace(tiny.observe(), instruction=" ")
    with pytest.raises(ValueError, match="instruction is empty; send one"):
        policy.preprocess(observation)


def test_a_missing_language_model_is_named(lerobot_policies, tmp_path):
    copy = shutil.copytree(lerobot_policies("smolvla"), tmp_path / "copy")
    shutil.rmtree(copy / "TinySmolVLM")
    with pytest.raises(PolicyError, match=r"put the tokenizer 'someone/TinySmolVLM' into '.*copy'") as caught:
        load_policy(f"lerobot:{copy}", "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pi0", "pi05"])
def test_weights_that_pi0_swallows_are_found(lerobot_policies, tiny, tmp_path, kind):
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(lerobot_policies(kind), tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    tensors.pop("model.action_out_proj.bias")
    save_file(tensors, copy / "model.safetensors")
    with (
        tiny.loadable(kind),
        pytest.raises(PolicyError, match=r"lacks 'model.action_out_proj.bias' and 0 others of"),
    ):
        load_policy(f"lerobot:{copy}", "cpu")


def test_images_that_are_normalised_before_they_are_padded_are_refused(lerobot_policies, tmp_path):
    copy = shutil.copytree(lerobot_policies("smolvla"), tmp_path / "copy")
    path = copy / "policy_preprocessor.json"
    values = json.loads(path.read_text())
    for step in values["steps"]:
        if step["registry_name"] == "normalizer_processor":
            step["config"]["norm_map"]["VISUAL"] = "MEAN_STD"
    path.write_text(json.dumps(values))
    with pytest.raises(PolicyError, match="normalises images before it pads them"):
        load_policy(f"lerobot:{copy}", "cpu")


def test_it_offers_attention_and_hidden_positions(policy):
    assert isinstance(policy, AttentionPolicy)
    assert isinstance(policy, KnockOutPolicy)


def test_attention_is_the_experts_over_the_tokens(policy, base, noise):
    encoded = policy.encode(base)
    scores = policy.attention(encoded, noise)
    assert scores.values.shape == encoded.tokens.shape[1:2]
    assert (scores.values >= 0).all()
    # The rest goes to the state and to the action tokens.
    assert 0 < float(scores.values.sum()) < 1 + 1e-5
    assert "expert's last layer" in scores.description


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_nothing_hidden_changes_nothing(policy, base, noise, rows):
    encoded = policy.encode(base)
    hidden = torch.zeros(rows, encoded.tokens.shape[1], dtype=torch.bool)
    answers = policy.run_knocked_out(encoded, hidden, noise).normalised
    plain = policy.run_pixels(base, {}, noise).normalised.expand(rows, -1, -1)
    torch.testing.assert_close(answers, plain, rtol=1e-4, atol=1e-5)


def test_positions_are_hidden_apart_and_get_no_attention(policy, base, noise):
    encoded = policy.encode(base)
    hidden = torch.zeros(3, encoded.tokens.shape[1], dtype=torch.bool)
    hidden[1, 5] = True
    hidden[2] = True
    answers = policy.run_knocked_out(encoded, hidden, noise).normalised
    torch.testing.assert_close(
        answers[:1], policy.run_pixels(base, {}, noise).normalised, rtol=1e-4, atol=1e-5
    )
    moved = (answers - answers[:1]).abs().amax((1, 2))
    assert 1e-7 < float(moved[1]) < float(moved[2])
    alone = policy.run_knocked_out(encoded, hidden[1:2], noise).normalised
    torch.testing.assert_close(answers[1:2], alone, rtol=1e-4, atol=1e-5)


def test_what_is_hidden_is_what_the_expert_would_read(policy, base, noise):
    """Where the content of a position is moved without being read, hiding it must undo the move."""
    encoded = policy.encode(base)
    place = 5
    position = int(policy._positions(encoded)[place])
    hidden = torch.zeros(1, encoded.tokens.shape[1], dtype=torch.bool)
    hidden[0, place] = True
    forward = policy.tower.forward

    def moved(**given):
        if given["inputs_embeds"][0] is None:
            _move(given["past_key_values"], position)
        return forward(**given)

    with shadowed(policy.tower, forward=moved):
        changed = policy.run_tokens(encoded, encoded.tokens, noise).normalised
        unread = policy.run_knocked_out(encoded, hidden, noise).normalised
    plain = policy.run_tokens(encoded, encoded.tokens, noise).normalised
    assert (changed - plain).abs().max() > 1e-5
    torch.testing.assert_close(
        unread, policy.run_knocked_out(encoded, hidden, noise).normalised, rtol=1e-5, atol=1e-6
    )


def _move(cache, position):
    """Change the values that a cache holds for one position, [N, keys, ...] or [N, heads, keys, ...]."""
    if isinstance(cache, dict):
        for parts in cache.values():
            parts["value_states"] = parts["value_states"].clone()
            parts["value_states"][:, position] += 1
        return
    for layer in cache.layers:
        layer.values = layer.values.clone()
        layer.values[:, :, position] += 1


def test_hidden_positions_are_found_behind_tokens_around_images_and_empty_slots(tiny, tmp_path):
    directory = tiny.save_smolvla(tmp_path / "both", add_image_special_tokens=True, empty_cameras=1)
    policy = load_policy(f"lerobot:{directory}", "cpu")
    encoded = policy.encode(policy.preprocess(tiny.observe()))
    # Three images of 16 tokens with two before and one after, then the text.
    expected = [*range(2, 18), *range(21, 37), *range(57, 57 + encoded.tokens.shape[1] - 32)]
    assert policy._positions(encoded).tolist() == expected
