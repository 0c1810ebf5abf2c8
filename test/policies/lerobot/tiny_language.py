# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers and language models small enough for tests, made and saved here."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<image>", "<fake_token_around_image>", "<global-img>")
MERGES = [
    ("r", "e"),
    ("re", "d"),
    ("c", "u"),
    ("b", "e"),
    ("cu", "be"),
    ("Ġ", "red"),
    ("t", "h"),
    ("th", "e"),
]


def save_tokenizer(directory):
    """Save a byte-level tokenizer with a few merges: some words are one token, most are several; return it."""
    vocabulary = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in MERGES)]
    numbers = {token: number for number, token in enumerate(vocabulary)}
    core = Tokenizer(models.BPE(vocab=numbers, merges=MERGES, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        extra_special_tokens={
            "image_token": "<image>",
            "fake_image_token": "<fake_token_around_image>",
            "global_image_token": "<global-img>",
        },
    )
    tokenizer.save_pretrained(directory)
    return tokenizer


def save_smolvlm(directory):
    """Save the configuration and the processor of a tiny SmolVLM, without weights."""
    from transformers import SmolVLMConfig, SmolVLMImageProcessor, SmolVLMProcessor
    from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

    tokenizer = save_tokenizer(directory)
    SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(), tokenizer=tokenizer, video_processor=SmolVLMVideoProcessor()
    ).save_pretrained(directory)
    SmolVLMConfig(
        vision_config={
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 64,
            "patch_size": 8,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "pad_token_id": 0,
        },
        scale_factor=2,
        image_token_id=4,
        pad_token_id=0,
    ).save_pretrained(directory)
