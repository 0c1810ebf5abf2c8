# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""SmolVLA: the first layers of SmolVLM read images, words and state; an expert turns noise into actions."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from vla_iss_ros.policies.lerobot.flow import FlowPolicy
from vla_iss_ros.policies.lerobot.letterbox import Letterbox, ResizeRule
from vla_iss_ros.policies.lerobot.reading import Watch
from vla_iss_ros.policies.lerobot.shadowing import shadowed


class SmolVlaPolicy(FlowPolicy):
    """SmolVLA; the state is a token of its own after the words, and is none of those that can be replaced."""

    tower_name, prepare_name = "vlm_with_expert", "prepare_images"

    def resize_rule(self, key: str, camera: str) -> ResizeRule:
        """Return the letterbox that the configuration asks for, (width, height) there; else images as recorded."""
        target = self.config.resize_imgs_with_padding
        return (
            super().resize_rule(key, camera) if target is None else Letterbox((target[1], target[0]), False)
        )

    def watched(self, watch: Watch) -> AbstractContextManager[Any]:
        """Let ``watch`` look on where the library attends."""
        attend = watch.attend(self.tower.eager_attention_forward)
        return shadowed(self.tower, eager_attention_forward=attend)
