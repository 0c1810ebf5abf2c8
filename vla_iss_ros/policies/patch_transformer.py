# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The network of the shipped policy: patch, word and state tokens in one transformer."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vla_iss_ros.policies.attention_watch import AttentionWatch
from vla_iss_ros.policies.observing import word_indices


@dataclass(frozen=True)
class PatchTransformerConfig:
    """Everything that fixes the shape of a :class:`PatchTransformer`."""

    cameras: tuple[str, ...] = ("front", "wrist")
    image_size: int = 64
    patch_size: int = 8
    width: int = 128
    heads: int = 4
    layers: int = 3
    horizon: int = 8
    action_dim: int = 4
    state_dim: int = 4
    vocabulary: tuple[str, ...] = ()
    max_words: int = 12

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name in ("cameras", "vocabulary"):
                continue
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number above 0, got {value!r}")
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size must be a multiple of patch_size {self.patch_size}, got {self.image_size}"
            )
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads {self.heads}, got {self.width}")

    @property
    def grid(self) -> int:
        """Patches along one side of an image."""
        return self.image_size // self.patch_size

    def to_dict(self) -> dict[str, object]:
        """Return plain types that survive a JSON round trip."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> PatchTransformerConfig:
        """Rebuild from :meth:`to_dict`; raises TypeError on an unknown key."""
        fixed = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**fixed)  # type: ignore[arg-type]


class Attention(nn.Module):
    """Bidirectional multi-head self-attention that lets a watch look on."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, asking: int, padding: Tensor, watch: AttentionWatch | None) -> Tensor:
        """Let the first ``asking`` of ``tokens`` [N, L, D] look at all; ``padding`` bool [N, L] hides tokens."""
        query, (key, value) = self._query(tokens[:, :asking]), self._pair(tokens)
        visible = ~padding[:, None, None, :]
        if watch is None or not watch.wants_weights:
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        else:
            logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
            attention = logits.masked_fill(~visible, float("-inf")).softmax(-1)
            watch.weights.append(attention)
            mixed = attention @ value
        if watch is not None:
            mixed = watch.heads(mixed)
        return self._merge(mixed)

    def read(self, tokens: Tensor, context: Tensor, hidden: Tensor) -> Tensor:
        """Let ``tokens`` [N, h, D] look at themselves and at ``context`` [1, L, D] where ``hidden`` [N, L] is False."""
        key, value = self._pair(tokens)
        # Of one observation: projected once, however many rows look at it.
        more = [part.expand(len(tokens), -1, -1, -1) for part in self._pair(context)]
        visible = functional.pad(~hidden, (tokens.shape[1], 0), value=True)[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(
            self._query(tokens),
            torch.cat([key, more[0]], 2),
            torch.cat([value, more[1]], 2),
            attn_mask=visible,
        )
        return self._merge(mixed)

    def _query(self, tokens: Tensor) -> Tensor:
        width = tokens.shape[-1]
        query = functional.linear(tokens, self.qkv.weight[:width], self.qkv.bias[:width])
        return query.view(*query.shape[:2], self.heads, -1).transpose(1, 2)

    def _pair(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        batch, length, width = tokens.shape
        pair = functional.linear(tokens, self.qkv.weight[width:], self.qkv.bias[width:])
        key, value = pair.view(batch, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        return key, value

    def _merge(self, mixed: Tensor) -> Tensor:
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor, asking: int, padding: Tensor, watch: AttentionWatch | None) -> Tensor:
        """Return the first ``asking`` of ``tokens`` [N, L, D], updated."""
        tokens = tokens[:, :asking] + self.attention(self.norm_attention(tokens), asking, padding, watch)
        return tokens + self.mlp(self.norm_mlp(tokens))

    def read(self, tokens: Tensor, context: Tensor, hidden: Tensor) -> Tensor:
        """Return ``tokens`` [N, h, D] updated; of ``context`` [1, L, D] they see what is not ``hidden`` [N, L]."""
        normed = self.norm_attention(tokens), self.norm_attention(context)
        tokens = tokens + self.attention.read(*normed, hidden)
        return tokens + self.mlp(self.norm_mlp(tokens))


def _normal(*shape: int, deviation: float) -> Tensor:
    """Return normal numbers, where they have values."""
    numbers = torch.empty(shape)
    # To draw on the meta device torch imports its compiler, which takes a second.
    return numbers if numbers.is_meta else torch.randn(shape) * deviation


class PatchTransformer(nn.Module):
    """Map camera images, an instruction and a state to an action chunk.

    Sequence: ``horizon`` action queries, one state token, ``max_words`` word tokens, then
    ``grid * grid`` patch tokens a camera, row-major, cameras in the order of the configuration.
    """

    state_mean: Tensor
    state_std: Tensor
    action_mean: Tensor
    action_std: Tensor

    def __init__(self, config: PatchTransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, patches = config.width, config.grid**2
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, config.patch_size // 2, config.patch_size // 2),
            nn.GELU(),
            nn.Conv2d(32, 64, 3, 1, 1),
            nn.GELU(),
            nn.Conv2d(64, width, 2, 2),
        )
        self.patch_position = nn.Parameter(_normal(len(config.cameras), patches, width, deviation=0.02))
        words = _normal(len(config.vocabulary) + 2, width, deviation=1.0)
        words[0] = 0
        self.word_embedding = nn.Embedding.from_pretrained(words, freeze=False, padding_idx=0)
        self.word_position = nn.Parameter(_normal(config.max_words, width, deviation=0.02))
        self.state_embedding = nn.Sequential(
            nn.Linear(config.state_dim, width), nn.GELU(), nn.Linear(width, width)
        )
        self.queries = nn.Parameter(_normal(config.horizon, width, deviation=0.02))
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.action_dim))
        self.register_buffer("state_mean", torch.zeros(config.state_dim))
        self.register_buffer("state_std", torch.ones(config.state_dim))
        self.register_buffer("action_mean", torch.zeros(config.action_dim))
        self.register_buffer("action_std", torch.ones(config.action_dim))

    def word_indices(self, instruction: str) -> Tensor:
        """Return the words of ``instruction`` as int64 [max_words]; see ``observing.word_indices``."""
        return word_indices(instruction, self.config.vocabulary, self.config.max_words)

    def embed_images(self, images: Tensor) -> Tensor:
        """Return patch tokens [N, P, D] of one camera's images, float [N, 3, S, S] in [0, 1]."""
        return self.stem(images - 0.5).flatten(2).transpose(1, 2)

    def embed_words(self, words: Tensor) -> Tensor:
        """Return word tokens [N, W, D] of word indices, int64 [N, W]; 0 is padding, 1 an unknown word."""
        return self.word_embedding(words)

    def act(
        self,
        patches: Tensor,
        word_tokens: Tensor,
        padding: Tensor,
        state: Tensor,
        watch: AttentionWatch | None = None,
    ) -> Tensor:
        """Return normalised actions [N, T, A] from embedded tokens.

        ``patches`` [N, V, P, D] and ``word_tokens`` [N, W, D] are raw embeddings before positions are added,
        ``padding`` bool [N, W] is True at absent words, ``state`` [N, S] is in physical units. ``watch`` looks into
        every layer's attention.
        """
        sequence, hidden = self._sequence(patches, word_tokens, padding, state)
        *others, last = self.blocks
        for block in others:
            sequence = block(sequence, sequence.shape[1], hidden, watch)
        # Only the action queries are read out, so the last block computes nothing else.
        return self.head(last(sequence, self.config.horizon, hidden, watch))

    def contexts(self, patches: Tensor, word_tokens: Tensor, padding: Tensor, state: Tensor) -> list[Tensor]:
        """Return what goes into every layer beside the action queries, [1, 1 + W + VP, D] each."""
        sequence, hidden = self._sequence(patches, word_tokens, padding, state)
        layers = []
        for block in self.blocks:
            layers.append(sequence[:, self.config.horizon :])
            sequence = block(sequence, sequence.shape[1], hidden, None)
        return layers

    def act_on_contexts(self, contexts: list[Tensor], hidden: Tensor) -> Tensor:
        """Return normalised actions [N, T, A] of queries that do not see ``hidden`` bool [N, 1 + W + VP]."""
        queries = self.queries.expand(len(hidden), -1, -1)
        for block, context in zip(self.blocks, contexts, strict=True):
            assert isinstance(block, Block)
            queries = block.read(queries, context, hidden)
        actions: Tensor = self.head(queries)
        return actions

    def _sequence(
        self, patches: Tensor, word_tokens: Tensor, padding: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        count = state.shape[0]  # len() would fix the batch of an export
        state_token = self.state_embedding((state - self.state_mean) / self.state_std)[:, None]
        sequence = torch.cat(
            [
                self.queries.expand(count, -1, -1),
                state_token,
                word_tokens + self.word_position,
                (patches + self.patch_position).flatten(1, 2),
            ],
            dim=1,
        )
        before, after = self.config.horizon + 1, patches.shape[1] * patches.shape[2]
        return sequence, functional.pad(padding, (before, after), value=False)

    def forward(self, images: Tensor, words: Tensor, state: Tensor) -> Tensor:
        """Return normalised actions [N, T, A].

        ``images`` float [N, V, 3, S, S] in [0, 1], ``words`` int64 [N, W], ``state`` float [N, S] physical units.
        """
        patches = self.embed_images(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        return self.act(patches, self.embed_words(words), words == 0, state)
