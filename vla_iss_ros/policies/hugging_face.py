# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What adapters of Hugging Face's libraries share: local files alone, and torchvision beside any torch."""

from __future__ import annotations

import importlib
import os
from typing import Any

import torch

MISSING_OPERATOR = "operator torchvision::nms does not exist"
# Keeps the operators that are declared below alive.
_declared: list[Any] = []


def stay_offline() -> None:
    """Tell the libraries of Hugging Face to take local files alone: before they are imported, and if they are."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    try:
        from huggingface_hub import constants
    except ImportError:
        return
    constants.HF_HUB_OFFLINE = True


def import_torchvision() -> None:
    """Import torchvision, also where its compiled part does not fit this torch: policies use its networks alone.

    A build for CUDA beside a torch for the CPU fails for two operators that are not there; declared, without a
    kernel, they do not hinder (https://github.com/pytorch/pytorch/issues/122494).
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if MISSING_OPERATOR not in str(error):
            raise ImportError(f"torchvision: {error}") from error
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
        importlib.import_module("torchvision")
