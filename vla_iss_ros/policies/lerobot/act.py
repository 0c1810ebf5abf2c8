# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""ACT: images through a ResNet, whose last feature maps are the tokens of an encoder; deterministic."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.iss.distributions import Distribution, ReferencePath
from vla_iss_ros.iss.observation import Actions, Prepared
from vla_iss_ros.iss.tokens import CAMERA, Encoded, Segment, TokenScores
from vla_iss_ros.policies.lerobot.base import LeRobotPolicy
from vla_iss_ros.policies.lerobot.shadowing import Answering, shadowed

FEATURES = "feature_map"


class ActPolicy(LeRobotPolicy):
    """ACT in pixels and tokens. Its latent is zero when it acts, as the library has it."""

    def token_grid(self, camera: str) -> tuple[int, int]:
        """Return rows and columns of the backbone's feature map."""
        size = self._rules[camera].size
        with torch.inference_mode():
            features = self._features(torch.zeros(1, 3, *size, device=self.device))
        return features.shape[2], features.shape[3]

    def act(
        self, batch: dict[str, Tensor], noise: Tensor | None, path: ReferencePath | None
    ) -> tuple[Tensor, Distribution | None]:
        """Return the chunk."""
        return self.network.predict_action_chunk(batch), None

    def encode(self, base: Prepared) -> Encoded:
        """Run the backbone; tokens are its projected feature maps, before positions are added."""
        pictures = self.processors.images({key: base.images[name] for name, key in self._keys.items()})
        maps = {
            name: self.network.model.encoder_img_feat_input_proj(self._features(pictures[key]))
            for name, key in self._keys.items()
        }
        ends = list(accumulate(tokens.shape[2] * tokens.shape[3] for tokens in maps.values()))
        segments = [
            Segment(CAMERA, start, stop, name, (tokens.shape[2], tokens.shape[3]))
            for (name, tokens), start, stop in zip(maps.items(), [0, *ends], ends, strict=False)
        ]
        tokens = torch.cat([part.flatten(2).transpose(1, 2) for part in maps.values()], 1)
        return Encoded(tokens, tuple(segments), base.inputs)

    def run_tokens(self, encoded: Encoded, tokens: Tensor, noise: Tensor | None) -> Actions:
        """Act on N variants of the feature maps; the backbone does not run."""
        return self.answer(self._act_on(encoded, tokens))

    def attention(self, encoded: Encoded, noise: Tensor | None) -> TokenScores:
        """Return the decoder's cross-attention, averaged over heads and action steps."""
        seen: list[Tensor] = []
        layer = self.network.model.decoder.layers[-1].multihead_attn
        watching = layer.register_forward_hook(lambda module, given, answer: seen.append(answer[1]))
        try:
            self._act_on(encoded, encoded.tokens)
        finally:
            watching.remove()
        # Before the image tokens stand those of the latent and the state.
        scores = seen[0][0].mean(0)[-encoded.tokens.shape[1] :]
        return TokenScores(
            scores.float(), "cross-attention of the last decoder layer, mean over heads and action steps"
        )

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.network.model.backbone(images)[FEATURES]
        return features

    def _act_on(self, encoded: Encoded, tokens: Tensor) -> Tensor:
        segments = encoded.segments
        maps = iter(
            [
                tokens[:, segment.start : segment.stop].transpose(1, 2).unflatten(2, segment.grid or ())
                for segment in segments
            ]
        )
        # Positions depend on the shape of the feature maps alone.
        shapes = iter([torch.zeros(1, 1, *(segment.grid or ()), device=self.device) for segment in segments])
        batch: dict[str, Any] = self.rows(encoded.inputs, len(tokens))
        batch |= {key: tokens.new_empty(len(tokens), 0) for key in self._keys.values()}
        parts = {
            "backbone": Answering(lambda image: {FEATURES: next(shapes)}),
            "encoder_img_feat_input_proj": Answering(lambda features: next(maps)),
        }
        with shadowed(self.network.model, **parts):
            # Not predict_action_chunk, which forbids gradients.
            batch["observation.images"] = [batch[key] for key in self._keys.values()]
            actions: Tensor = self.network.model(batch)[0]
        return actions
