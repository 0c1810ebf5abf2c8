# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""pi0 and pi0.5: PaliGemma reads images and words, an expert turns noise into actions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vla_iss_ros.policies.lerobot.flow import FlowPolicy
from vla_iss_ros.policies.lerobot.letterbox import Letterbox, ResizeRule
from vla_iss_ros.policies.lerobot.prompt import Part, pi05_parts
from vla_iss_ros.policies.lerobot.reading import Watch


class Pi0Policy(FlowPolicy):
    """pi0; the state goes to the expert and is no token of the prefix."""

    tower_name, prepare_name = "paligemma_with_expert", "_preprocess_images"

    def resize_rule(self, key: str, camera: str) -> ResizeRule:
        """Return the centred letterbox."""
        height, width = self.config.image_resolution
        return Letterbox((height, width), True)

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Let ``watch`` note what the expert's last layer answers besides."""
        layer = self.tower.gemma_expert.model.layers[-1].self_attn
        hook = layer.register_forward_hook(lambda module, given, answer: watch.note(answer[1]))
        try:
            yield
        finally:
            hook.remove()


class Pi05Policy(Pi0Policy):
    """pi0.5; the state's digits are written into the prompt, where they are a segment of their own."""

    def text_parts(self, text: str) -> tuple[Part, ...]:
        """Return the instruction and the state within the template."""
        return pi05_parts(text)
