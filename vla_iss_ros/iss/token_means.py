# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What replaced tokens are: the mean embedding of their modality over recorded frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vla_iss_ros.iss.token_cells import TokenView
from vla_iss_ros.iss.tokens import CAMERA, INSTRUCTION, Encoded


@dataclass(frozen=True)
class TokenMeans:
    """Mean embeddings, float32 [D] each: of every camera's image tokens and of the instruction's tokens.

    ``counts``: tokens seen, by camera name and ``instruction``. ``frames``: frames seen. A mean keeps the sequence
    near what the policy was trained on and takes out what is particular to a place; it does not take out what all
    recorded frames share.
    """

    cameras: Mapping[str, Tensor]
    instruction: Tensor | None
    frames: int
    counts: Mapping[str, int] = field(default_factory=dict)

    def rows(self, encoded: Encoded) -> Tensor:
        """Return every token's mean, float32 [1, L, D]; the token itself where its kind is never replaced.

        Raises ValueError when a camera or the instruction has no mean, or one of another width.
        """
        rows = encoded.tokens.float().clone()
        for segment in encoded.segments:
            if segment.kind == CAMERA:
                mean = self._of(f"camera '{segment.name}'", self.cameras.get(segment.name), rows.shape[2])
            elif segment.kind == INSTRUCTION:
                mean = self._of("the instruction", self.instruction, rows.shape[2])
            else:
                continue
            rows[:, segment.start : segment.stop] = mean.to(rows.device)
        return rows

    def _of(self, what: str, mean: Tensor | None, width: int) -> Tensor:
        if mean is None:
            raise ValueError(f"no mean embedding of {what}; gather means with compute_means")
        if mean.shape != (width,):
            raise ValueError(
                f"the mean embedding of {what} must be [{width}], got {list(mean.shape)}; it belongs to another policy"
            )
        return mean


class MeanGatherer:
    """Gathers mean embeddings frame by frame, in float64; padding around a camera's image is left out."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Tensor] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._frames = 0

    def add(self, encoded: Encoded) -> None:
        """Take in one frame; raises ValueError when a token is not finite."""
        for segment in encoded.segments:
            if segment.kind not in (CAMERA, INSTRUCTION):
                continue
            if segment.kind == CAMERA:
                tokens = encoded.tokens[0, TokenView.of(segment, 1).owners()[0].to(encoded.tokens.device)]
            else:
                tokens = encoded.tokens[0, segment.start : segment.stop]
            if not bool(torch.isfinite(tokens).all()):
                raise ValueError(f"the policy's embedding of {segment.kind} '{segment.name}' is not finite")
            key = (segment.kind, segment.name)
            self._sums[key] = self._sums.get(key, torch.zeros(())) + tokens.double().sum(0).cpu()
            self._counts[key] = self._counts.get(key, 0) + len(tokens)
        self._frames += 1

    def means(self) -> TokenMeans:
        """Return the means; raises ValueError before the first frame."""
        if not self._frames:
            raise ValueError("mean embeddings need at least one frame, got none")
        mean = {key: (total / self._counts[key]).float() for key, total in self._sums.items()}
        cameras = {name: mean[kind, name] for kind, name in mean if kind == CAMERA}
        counts = {(name or kind): count for (kind, name), count in self._counts.items()}
        return TokenMeans(cameras, mean.get((INSTRUCTION, "")), self._frames, counts)


def gather_means(encodings: Iterable[Encoded]) -> TokenMeans:
    """Return the mean embeddings over ``encodings``; raises ValueError when there is none."""
    gatherer = MeanGatherer()
    for encoded in encodings:
        gatherer.add(encoded)
    return gatherer.means()
