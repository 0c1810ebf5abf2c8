# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where interventions are made: in pixels, in token embeddings, or in what the action part may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from vla_iss_ros.iss import interventions
from vla_iss_ros.iss.canvas import CameraSize, PolicySize, refuse_camera_size
from vla_iss_ros.iss.cells import CellGrid
from vla_iss_ros.iss.effects import Effect, Replacements, mean_state_tensor, measure_effects, measure_words
from vla_iss_ros.iss.frames import FrameRun
from vla_iss_ros.iss.observation import Observation, Prepared
from vla_iss_ros.iss.subjects import ExplainablePolicy, HiddenPositions, Pixels, Subject, Tokens
from vla_iss_ros.iss.token_cells import TokenCells
from vla_iss_ros.iss.token_effects import measure_token_effects
from vla_iss_ros.iss.token_means import TokenMeans, gather_means
from vla_iss_ros.iss.words import WordSaliency

NO_DONORS = (
    "baseline donor needs recorded frames, got none; set donors to a directory made by gather_donors, "
    "or set baseline to blur or mean_colour"
)
NO_MEANS = (
    "space token needs mean embeddings, got none; make them with compute_means and set token_means to the file, or set "
    "donors to a directory made by gather_donors"
)


class Space(Protocol):
    """Makes what interventions act on, frame by frame."""

    def subject(self, observation: Observation, base: Prepared) -> Subject:
        """Return what interventions on one frame act on; raises ValueError when the frame does not fit."""

    def effects(self, frame: FrameRun) -> tuple[Effect, ...]:
        """Measure whole modalities."""

    def words(self, frame: FrameRun) -> tuple[WordSaliency, ...]:
        """Return the saliency of words that are no cells; none where words are cells."""

    def described(self) -> str:
        """Say in words what is replaced by what."""


class PixelSpace:
    """Cells of the cameras' images, replaced by pictures."""

    def __init__(
        self,
        policy: ExplainablePolicy,
        settings: Any,
        donors: Sequence[Observation],
        means: TokenMeans | None,
    ) -> None:
        if settings.baseline == "donor" and not donors:
            raise ValueError(NO_DONORS)
        self._policy, self._settings = policy, settings
        self._donors = self._prepare(donors) if donors else None
        self._instructions = tuple(dict.fromkeys(donor.instruction for donor in donors if donor.instruction))
        self._baseline = interventions.make_baseline(settings, self._donors)
        self._canvases: CameraSize | PolicySize = (
            CameraSize(policy, settings, donors)
            if settings.composite_resolution == "camera"
            else PolicySize(settings)
        )

    def subject(self, observation: Observation, base: Prepared) -> Subject:
        """Return the pixels of a frame."""
        cells = CellGrid.over(base, self._settings.grid, self._settings.mask_layout == "stitched")
        pictures = self._pictures(observation, base)
        canvas = self._canvases.canvas(observation, base, cells, pictures)
        return Pixels(base, canvas, cells, pictures)

    def effects(self, frame: FrameRun) -> tuple[Effect, ...]:
        """Replace whole cameras by donor frames, or by the baseline without them; the instruction by donors'."""
        if self._donors is not None:
            pictures: Mapping[str, Tensor] = self._donors.pictures(frame.base, frame.observation.instruction)
        else:
            pictures = self._pictures(frame.observation, frame.base)
        mean_state = mean_state_tensor(self._policy.spec.state_mean)
        return measure_effects(
            frame.observation,
            frame.base,
            frame.evaluator.reference,
            Replacements(pictures, self._instructions, mean_state),
            frame.preprocess,
            frame.ask_pixels,
            frame.divergence,
        )

    def words(self, frame: FrameRun) -> tuple[WordSaliency, ...]:
        """Leave each word out of the instruction, where that is asked for."""
        return measure_words(frame) if self._settings.words else ()

    def described(self) -> str:
        """Name the baseline."""
        return f"pixels replaced by {self._settings.baseline}"

    def _pictures(self, observation: Observation, base: Prepared) -> Mapping[str, Tensor]:
        return self._baseline.pictures(base, observation.instruction)

    def _prepare(self, donors: Sequence[Observation]) -> interventions.Donor:
        with torch.inference_mode():
            prepared = [self._policy.preprocess(donor) for donor in donors]
            return interventions.Donor(prepared, [donor.instruction for donor in donors])


class TokenSpace:
    """Image patches and words, replaced by mean embeddings; the vision tower runs once a frame.

    ``means`` as gathered from recorded data; without, they are gathered from ``donors``.
    """

    def __init__(
        self, policy: Any, settings: Any, donors: Sequence[Observation], means: TokenMeans | None
    ) -> None:
        refuse_space(policy, "token")
        if means is None and not donors:
            raise ValueError(NO_MEANS)
        self._policy, self._block = policy, settings.token_block
        self._origin = "recorded data" if means is not None else f"{len(donors)} donor frames"
        if means is None:
            with torch.inference_mode():
                means = gather_means(policy.encode(policy.preprocess(donor)) for donor in donors)
        self._means = means

    def subject(self, observation: Observation, base: Prepared) -> Subject:
        """Return the tokens of a frame."""
        encoded = self._policy.encode(base)
        return Tokens(encoded, self._means, TokenCells.over(encoded, self._block))

    def effects(self, frame: FrameRun) -> tuple[Effect, ...]:
        """Replace whole cameras and the instruction by mean embeddings, the state by its recorded mean."""
        assert isinstance(frame.subject, Tokens)
        return measure_token_effects(frame, frame.subject, mean_state_tensor(self._policy.spec.state_mean))

    def words(self, frame: FrameRun) -> tuple[WordSaliency, ...]:
        """Return none: words are cells."""
        return ()

    def described(self) -> str:
        """Say where the means are from."""
        return f"tokens replaced by mean embeddings of {self._origin}"


class KnockOutSpace:
    """Image patches and words that the action part is kept from reading."""

    def __init__(
        self, policy: Any, settings: Any, donors: Sequence[Observation], means: TokenMeans | None
    ) -> None:
        refuse_space(policy, "knock_out")
        self._policy, self._block = policy, settings.token_block

    def subject(self, observation: Observation, base: Prepared) -> Subject:
        """Return what may be read of a frame."""
        encoded = self._policy.encode(base)
        return HiddenPositions(encoded, TokenCells.over(encoded, self._block))

    def effects(self, frame: FrameRun) -> tuple[Effect, ...]:
        """Return none: hiding a modality is not replacing it."""
        return ()

    def words(self, frame: FrameRun) -> tuple[WordSaliency, ...]:
        """Return none: words are cells."""
        return ()

    def described(self) -> str:
        """Say what this is not."""
        return "positions hidden from the action part (not an intervention on the input)"


REGISTRY: Mapping[str, type[PixelSpace] | type[TokenSpace] | type[KnockOutSpace]] = {
    "pixel": PixelSpace,
    "token": TokenSpace,
    "knock_out": KnockOutSpace,
}
METHODS = {"pixel": (), "token": ("encode", "run_tokens"), "knock_out": ("encode", "run_knocked_out")}


def refuse_space(policy: Any, space: str) -> None:
    """Raise ValueError when ``policy`` cannot be intervened on in ``space``."""
    missing = [name for name in METHODS[space] if not hasattr(policy, name)]
    if missing:
        raise ValueError(
            f"space {space} needs a policy with {' and '.join(METHODS[space])}, and {type(policy).__name__} has no "
            f"{missing[0]}; set space to pixel"
        )


def refuse_settings(policy: Any, settings: Any) -> None:
    """Raise ValueError when ``settings`` ask for what ``policy`` cannot do, whatever the donors."""
    refuse_space(policy, settings.space)
    if settings.space == "pixel" and settings.composite_resolution == "camera":
        refuse_camera_size(policy)
