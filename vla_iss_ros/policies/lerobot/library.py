"""The package lerobot, imported when a policy of it is loaded, and kept off the network."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from vla_iss_ros.policies.errors import PolicyError

MISSING_OPERATOR = "operator torchvision::nms does not exist"
# Keeps the operators that are declared below alive.
_declared: list[Any] = []


def import_lerobot() -> str:
    """Make lerobot importable and return its version; raises PolicyError where it is missing or does not import.

    Nothing that it calls may look for files on the network from then on.
    """
    _stay_offline()
    try:
        installed = version("lerobot")
        _import_torchvision()
        importlib.import_module("lerobot.policies.factory")
    except (ImportError, PackageNotFoundError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PolicyError(
            "policies of type lerobot need lerobot 0.4.4 (Python 3.10 and 3.11) or 0.6 (Python 3.12), which does not "
            f"import here ({reason}); install it with: pip install vla_iss_ros[lerobot]"
        ) from error
    return installed


def _stay_offline() -> None:
    """Tell the libraries of Hugging Face to take local files alone: before they are imported, and if they are."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    try:
        from huggingface_hub import constants
    except ImportError:
        return
    constants.HF_HUB_OFFLINE = True


def _import_torchvision() -> None:
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
