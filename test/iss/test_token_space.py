# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Token space and words: planted causes come first, the vision tower runs once."""

import math

import pytest
import torch
from token_toys import WORDS, TokenToy, token_frame

from vla_iss_ros import settings
from vla_iss_ros.iss.explain import Explainer

DONORS = [token_frame(seed, " ".join(reversed(WORDS))) for seed in range(10, 16)]
TOKEN = {"space": "token", "samples": 128, "token_block": 1, "block_size": 32}


def explain(changes, toy=None, donors=DONORS):
    toy = toy or TokenToy()
    return Explainer(toy, settings.check(changes), donors).explain(token_frame(3)), toy


@pytest.mark.parametrize(
    "estimator", ["emulator", "spatial", "hajek", "leave_one_out", "regression_adjusted"]
)
def test_the_planted_patch_and_word_come_first_in_token_space(estimator):
    result, _ = explain({**TOKEN, "samples": 1024, "estimator": estimator, "effects": False})
    front = result.cells.by_view(result.estimate.contrast)["front"]
    assert divmod(int(front.argmax()), 6) == (2, 4)
    assert max(result.words, key=lambda word: word.contrast).word == "red"
    wrist = result.cells.by_view(result.estimate.contrast)["wrist"]
    assert front.max() > wrist.max()
    assert [word.word for word in result.words] == list(WORDS)


def test_the_planted_patch_and_word_come_first_in_pixel_space():
    result, _ = explain({"grid": 6, "samples": 128, "words": True, "effects": False})
    front = result.cells.by_view(result.estimate.contrast)["front"]
    assert divmod(int(front.argmax()), 6) == (2, 4)
    assert max(result.words, key=lambda word: word.contrast).word == "red"
    # The word's code of 1, times 3, over two action numbers.
    assert [word.contrast for word in result.words] == pytest.approx([0, 0, 4.5, 0])
    assert math.isnan(result.words[0].standard_error)


def test_pixel_space_leaves_words_alone_unless_asked():
    assert explain({"samples": 32, "effects": False})[0].words == ()


def test_one_word_cannot_be_left_out():
    toy = TokenToy(word="go")
    frame = token_frame(3, "go")
    explainer = Explainer(toy, settings.check({"samples": 32, "words": True, "effects": False}), DONORS)
    assert explainer.explain(frame).words == ()


def test_the_vision_tower_runs_once_a_frame():
    toy = TokenToy()
    explainer = Explainer(toy, settings.check(TOKEN), DONORS)
    gathered = toy.towers
    explainer.explain(token_frame(3))
    assert gathered == len(DONORS)
    assert toy.towers == gathered + 1


@pytest.mark.parametrize("space", ["token", "knock_out"])
def test_the_same_map_whatever_the_batch_size(space):
    maps = [
        explain({**TOKEN, "space": space, "batch_size": size, "estimator": "spatial"})[0].estimate.contrast
        for size in (2, 3, 64)
    ]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(maps[0], maps[2], rtol=1e-6, atol=1e-9)


def test_effects_in_token_space_by_hand():
    result, _ = explain(TOKEN)
    effects = {effect.name: effect for effect in result.effects}
    assert effects["wrist"].delta == 0
    # The word's code of 1 at the mean 1/4, times 3, over two action numbers.
    assert effects["instruction"].delta == pytest.approx(2.25**2 / 2)
    assert effects["front"].delta > 0
    together = effects["front"].delta + effects["instruction"].delta
    assert effects["everything"].delta == pytest.approx(together, rel=1e-5)
    assert "no recorded mean" in effects["state"].reason


def test_hidden_positions_are_labelled_as_no_intervention():
    result, _ = explain({**TOKEN, "space": "knock_out"})
    assert "not an intervention on the input" in result.method
    front = result.cells.by_view(result.estimate.contrast)["front"]
    assert divmod(int(front.argmax()), 6) == (2, 4)
    assert result.effects == ()


def test_the_method_says_what_is_replaced_by_what():
    assert explain(TOKEN)[0].method == (
        "ISS: tokens replaced by mean embeddings of 6 donor frames, action_mse, estimator emulator"
    )


def test_spaces_that_the_policy_lacks_are_refused():
    class Plain:
        spec, device = TokenToy().spec, torch.device("cpu")

    with pytest.raises(ValueError, match=r"Plain has no encode; set space to pixel"):
        Explainer(Plain(), settings.check({"space": "token"}), DONORS)
    with pytest.raises(ValueError, match="make them with compute_means"):
        Explainer(TokenToy(), settings.check({"space": "token"}))
