# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from vla_iss_ros.policies.attention_watch import AttentionWatch
from vla_iss_ros.policies.patch_transformer import PatchTransformer, PatchTransformerConfig

CONFIG = PatchTransformerConfig(
    image_size=16, width=16, heads=2, layers=2, vocabulary=("press", "the", "button")
)


def network() -> PatchTransformer:
    torch.manual_seed(0)
    return PatchTransformer(CONFIG).eval()


def inputs(count: int):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(count, 2, 3, 16, 16, generator=generator)
    words = torch.tensor([[2, 3, 4] + [0] * 9]).expand(count, -1)
    return images, words, torch.randn(count, 4, generator=generator)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_rows_do_not_influence_each_other(count):
    images, words, state = inputs(3)
    model = network()
    whole = model(images, words, state)
    part = model(images[:count], words[:count], state[:count])
    assert whole.shape == (3, 8, 4)
    torch.testing.assert_close(part, whole[:count], atol=1e-5, rtol=1e-5)


def test_handing_out_attention_changes_nothing():
    images, words, state = inputs(2)
    model = network()
    patches = model.embed_images(images.flatten(0, 1)).unflatten(0, (2, 2))
    watch = AttentionWatch(wants_weights=True)
    with_weights = model.act(patches, model.embed_words(words), words == 0, state, watch)
    weights = watch.weights
    torch.testing.assert_close(with_weights, model(images, words, state), atol=1e-5, rtol=1e-5)
    length = 8 + 1 + 12 + 2 * 4
    assert [tuple(attention.shape) for attention in weights] == [(2, 2, length, length), (2, 2, 8, length)]
    for attention in weights:
        torch.testing.assert_close(attention.sum(-1), torch.ones(attention.shape[:-1]))
        assert attention[..., 8 + 1 + 3 : 8 + 1 + 12].abs().max() == 0  # nobody looks at absent words


def test_words():
    model = network()
    assert model.word_indices(" Press the RED button ").tolist() == [2, 3, 1, 4] + [0] * 8
    assert model.word_indices("the " * 20).tolist() == [3] * 12


def test_configuration_round_trip():
    assert PatchTransformerConfig.from_dict(CONFIG.to_dict()) == CONFIG


def test_impossible_configurations_are_refused():
    with pytest.raises(ValueError, match="multiple of patch_size 8, got 63"):
        PatchTransformerConfig(image_size=63)
    with pytest.raises(ValueError, match="multiple of heads 4, got 130"):
        PatchTransformerConfig(width=130)
