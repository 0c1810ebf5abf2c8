# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy's saved processors: from the robot's numbers to the network's, and from its actions back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.lerobot.directory import Directory

STATE, ACTION = "observation.state", "action"
RENAME, NORMALIZE, UNNORMALIZE = (
    "rename_observations_processor",
    "normalizer_processor",
    "unnormalizer_processor",
)
TOKENIZE, DEVICE = "tokenizer_processor", "device_processor"
# What each way of normalising needs to know.
STATISTICS = {"MEAN_STD": ("mean", "std"), "MIN_MAX": ("min", "max"), "QUANTILES": ("q01", "q99")}
STATISTICS["QUANTILE10"] = ("q10", "q90")


class Processors:
    """The pre- and the postprocessor of a directory.

    ``originals``: what a camera or the state is called before the preprocessor renames it, by its later name.
    """

    def __init__(self, pre: Any, post: Any, directory: Directory) -> None:
        self._pre, self._post = pre, post
        self._normalizer = _step(pre, NORMALIZE, directory)
        self._unnormalizer = _step(post, UNNORMALIZE, directory)
        self.tokenizer: Any = next((step for step in pre.steps if step._registry_name == TOKENIZE), None)
        renamed = directory.steps.get(RENAME, {}).get("rename_map") or {}
        self.originals: Mapping[str, str] = {new: old for old, new in renamed.items()}

    def inputs(self, state: Tensor, instruction: str) -> tuple[dict[str, Tensor], str]:
        """Return the network's inputs beside images, one row each, and the text that was tokenised.

        ``state`` float32 [1, S], physical units.
        """
        batch = self._pre({self.originals.get(STATE, STATE): state, "task": [instruction]})
        inputs = {
            key: value
            for key, value in batch.items()
            if isinstance(value, Tensor) and key.startswith("observation.")
        }
        text = batch.get("task")
        return inputs, text[0] if isinstance(text, list) and text else ""

    def images(self, images: dict[str, Tensor]) -> dict[str, Tensor]:
        """Normalise images float32 [N, 3, h, w] in [0, 1], by the network's names."""
        transition = self._normalizer(self._pre.to_transition(images))
        batch = self._pre.to_output(transition)
        return {key: batch[key] for key in images}

    def physical(self, normalised: Tensor) -> Tensor:
        """Return actions [N, T, A] in the units of the data that the policy was trained on."""
        actions: Tensor = self._post(normalised.clone())
        return actions

    def state_mean(self) -> tuple[float, ...] | None:
        """Return the recorded mean of the state, physical units, where the statistics have one."""
        mean = self._normalizer.state_dict().get(f"{STATE}.mean")
        return None if mean is None else tuple(mean.flatten().tolist())

    def normalises_images(self) -> bool:
        """Tell whether images are normalised at all before the network takes them."""
        modes = {kind.value: mode.value for kind, mode in self._normalizer.norm_map.items()}
        return modes.get("VISUAL", "IDENTITY") != "IDENTITY"

    def require_statistics(self, config: Any, where: str) -> None:
        """Raise PolicyError where statistics are missing or not finite: the library would leave numbers as they are."""
        wanted = [(self._normalizer, key, config.input_features[key]) for key in config.input_features]
        wanted = [item for item in wanted if not item[1].rpartition(".")[2].startswith("empty_camera")]
        wanted.append((self._unnormalizer, ACTION, config.output_features[ACTION]))
        for step, key, feature in wanted:
            mode = step.norm_map.get(feature.type)
            statistics = step.state_dict()
            for name in STATISTICS.get("" if mode is None else mode.value, ()):
                values = statistics.get(f"{key}.{name}")
                if values is None or not bool(torch.isfinite(values).all()):
                    found = "none" if values is None else f"{values.flatten().tolist()[:8]}"
                    raise PolicyError(
                        f"{where} normalises '{key}' by {name}, which must be finite numbers, got {found}; save the "
                        "policy with the statistics of its data"
                    )


def load_processors(directory: Directory, config: Any) -> Processors:
    """Load the processors; raises PolicyError when the library cannot."""
    from lerobot.policies.factory import make_pre_post_processors

    device = {DEVICE: {"device": str(config.device)}}
    before = dict(device)
    tokenizer = directory.steps.get(TOKENIZE, {}).get("tokenizer_name")
    if tokenizer:
        before[TOKENIZE] = {"tokenizer_name": directory.local(tokenizer)}
    try:
        pre, post = make_pre_post_processors(
            config,
            pretrained_path=str(directory.path),
            preprocessor_overrides={name: value for name, value in before.items() if name in directory.steps},
            postprocessor_overrides=device,
        )
    except Exception as error:  # the library raises anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        hint = f"; put the tokenizer '{tokenizer}' into '{directory.path}'" if tokenizer else ""
        raise PolicyError(f"the processors of '{directory.path}' cannot be loaded: {reason}{hint}") from error
    processors = Processors(pre, post, directory)
    processors.require_statistics(config, f"'{directory.path}'")
    return processors


def _step(pipeline: Any, name: str, directory: Directory) -> Any:
    for step in pipeline.steps:
        if step._registry_name == name:
            return step
    raise PolicyError(f"'{directory.path}' has no step '{name}' in its processors; save the policy again")
