# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From explanations to rows and maps, with frames between two explained ones interpolated in time."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vla_iss_ros.analysis.frame_table import EffectFigures, FrameRow, RatioFigures
from vla_iss_ros.analysis.pieces import Maps, Piece
from vla_iss_ros.bags.source import Segment
from vla_iss_ros.iss.cells import Cells
from vla_iss_ros.iss.explanation import Explanation
from vla_iss_ros.iss.map_ratios import NO_REGIONS
from vla_iss_ros.iss.nmr import PERCENTS, NuisanceMassRatio, nuisance_mass_ratios, undefined
from vla_iss_ros.iss.region_map import ACTOR, NUISANCE, SUPPORT, RegionMap
from vla_iss_ros.messages.stamps import SECOND

if TYPE_CHECKING:
    from vla_iss_ros.analysis.segment_work import ReadyFrame

STAGES = ("prepare", "policy", "estimate")


class PieceBuilder:
    """Collects the frames of one segment, in order of time.

    Frames without an explanation wait for the next one: their maps are linear in time between the two neighbours, as in
    the published reference, and their NMR is that of the interpolated map under their own regions. Such a map has
    no standard error, so that NMR has no interval. Without a neighbour on both sides a frame is left out and counted.
    """

    def __init__(self, segment: Segment, settings: Any, problems: Counter[str]) -> None:
        self._segment, self._settings = segment, settings
        self._piece = Piece(segment.name, problems=problems)
        self.seconds = self._piece.seconds
        self._percents = sorted({*PERCENTS, settings.nmr_percent})
        self._cells: Cells | None = None
        self._arrays: dict[str, list[np.ndarray]] = {name: [] for name in Maps.ARRAYS}
        self._waiting: list[ReadyFrame] = []
        self._before: dict[str, np.ndarray] | None = None
        self._effect_names: tuple[str, ...] = ()

    def add(self, frame: ReadyFrame, explanation: Explanation | None) -> None:
        """Take in a frame; without an ``explanation`` it is interpolated."""
        if explanation is None:
            self._waiting.append(frame)
            return
        values = _values(explanation)
        self._cells = explanation.cells.images()
        row = self._explained_row(frame, explanation)
        self._effect_names = tuple(row.effects)
        self._settle(values)
        self._keep(frame, row, values)
        self._before = values

    def finish(self) -> Piece:
        """Return the piece."""
        self._settle(None)
        if self._cells is not None:
            self._piece.maps = Maps(
                self._cells, **{name: np.stack(values) for name, values in self._arrays.items()}
            )
        return self._piece

    def _settle(self, after: dict[str, np.ndarray] | None) -> None:
        """Interpolate what waits between the last explained frame and ``after``."""
        waiting, self._waiting = self._waiting, []
        if self._before is None or after is None:
            if waiting:
                self._piece.problems["frame: no explained neighbour to interpolate from"] += len(waiting)
            return
        for frame in waiting:
            values = _between(self._before, after, frame.observation.stamp)
            self._keep(frame, self._interpolated_row(frame, values["contrast"]), values)

    def _keep(self, frame: ReadyFrame, row: FrameRow, values: Mapping[str, np.ndarray]) -> None:
        piece, stamp = self._piece, frame.observation.stamp
        if piece.rows and stamp <= piece.rows[-1].stamp:
            piece.problems["frame: stamp is not after the one before"] += 1
            return
        piece.rows.append(row)
        for name, value in values.items():
            self._arrays[name].append(value)
        piece.images.update({(stamp, camera): data for camera, data in frame.pictures.items()})
        piece.regions.update({(stamp, camera): data for camera, data in frame.region_pictures.items()})
        piece.frame_ids.update(frame.frame_ids)
        if any(other != stamp for other in frame.stamps.values()):
            piece.stamps[str(stamp)] = dict(frame.stamps)

    def _explained_row(self, frame: ReadyFrame, explanation: Explanation) -> FrameRow:
        headline = explanation.ratios[self._settings.nmr_percent]
        return FrameRow(
            **self._common(frame, explanation.cells.names),
            explained=True,
            samples=explanation.samples,
            stop_reason=explanation.stop_reason,
            chance=headline.chance,
            noise_floor=explanation.noise_floor,
            mean_delta=explanation.mean_delta,
            shared_noise=explanation.shared_noise,
            reason=headline.reason,
            words=_words(explanation),
            ratios=_figures(explanation.ratios, self._percents, explanation.cells.names),
            effects={_effect_name(effect): _effect(effect) for effect in explanation.effects},
            timings={stage: explanation.seconds.get(stage, math.nan) for stage in STAGES},
        )

    def _interpolated_row(self, frame: ReadyFrame, contrast: np.ndarray) -> FrameRow:
        assert self._cells is not None
        ratios = self._ratios(contrast, frame.regions)
        headline = ratios[self._settings.nmr_percent]
        return FrameRow(
            **self._common(frame, self._cells.names),
            explained=False,
            chance=headline.chance,
            reason=headline.reason,
            ratios=_figures(ratios, self._percents, self._cells.names),
            effects={name: EffectFigures(reason="interpolated") for name in self._effect_names},
            timings=dict.fromkeys(STAGES, math.nan),
        )

    def _ratios(self, contrast: np.ndarray, regions: RegionMap | None) -> dict[int, NuisanceMassRatio]:
        assert self._cells is not None
        names = self._cells.names
        missing = names if regions is None else [name for name in names if name not in regions.views]
        if regions is None or missing:
            return undefined(
                self._percents, NO_REGIONS if regions is None else f"no regions for camera '{missing[0]}'"
            )
        size = (self._settings.nmr_size,) * 2
        maps = self._cells.maps(torch.from_numpy(contrast)[None], size)[0]
        return nuisance_mass_ratios(maps, regions.nuisance(names, size), names, self._percents)

    def _common(self, frame: ReadyFrame, cameras: tuple[str, ...]) -> dict[str, Any]:
        segment, stamp = self._segment, frame.observation.stamp
        return {
            "source": segment.source,
            "episode": segment.episode_name,
            "frame": frame.frame,
            "stamp": stamp,
            "seconds": (stamp - segment.origin) / SECOND,
            "instruction": frame.observation.instruction,
            "piece": segment.name,
            "stood_in": ", ".join(camera for camera in cameras if camera in frame.stood_in),
            "areas": {camera: _areas(frame.regions, camera) for camera in cameras},
        }


def _words(explanation: Explanation) -> str:
    words = getattr(explanation, "words", ())
    return (
        json.dumps([[each.word, each.contrast, _or_none(each.standard_error)] for each in words])
        if words
        else ""
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _values(explanation: Explanation) -> dict[str, np.ndarray]:
    estimate, images = explanation.estimate, explanation.cells.images().count
    cells = {"contrast": estimate.contrast, "standard_error": estimate.standard_error, "iss": estimate.iss}
    return {
        "stamps": np.array(explanation.stamp, np.int64),
        **{name: values[:images].float().cpu().numpy() for name, values in cells.items()},
        "actions": explanation.actions.physical[0].float().cpu().numpy(),
    }


def _between(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], stamp: int
) -> dict[str, np.ndarray]:
    """Return maps linear in time between two explained frames; nothing is claimed of errors and actions."""
    span = int(after["stamps"]) - int(before["stamps"])
    weight = np.float32((stamp - int(before["stamps"])) / span) if span else np.float32(0)
    blended = {name: before[name] * (1 - weight) + after[name] * weight for name in ("contrast", "iss")}
    unknown = {name: np.full_like(before[name], np.nan) for name in ("standard_error", "actions")}
    return {"stamps": np.array(stamp, np.int64), **blended, **unknown}


def _figures(
    ratios: Mapping[int, NuisanceMassRatio], percents: list[int], cameras: tuple[str, ...]
) -> dict[int, RatioFigures]:
    return {
        percent: RatioFigures(
            value=ratios[percent].value,
            low=ratios[percent].low,
            high=ratios[percent].high,
            floor=ratios[percent].floor,
            views={camera: ratios[percent].per_view.get(camera, math.nan) for camera in cameras},
        )
        for percent in percents
    }


def _effect_name(effect: Any) -> str:
    return f"camera_{effect.name}" if effect.kind == "camera" else str(effect.name)


def _effect(effect: Any) -> EffectFigures:
    error = getattr(effect, "standard_error", math.nan)
    return EffectFigures(effect.delta, effect.share, error, effect.reason)


def _areas(regions: RegionMap | None, camera: str) -> dict[str, float]:
    view = None if regions is None else regions.views.get(camera)
    kinds = {"nuisance": NUISANCE, "robot": ACTOR, "object": SUPPORT}
    return {name: math.nan if view is None else float((view == kind).mean()) for name, kind in kinds.items()}
