# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From the messages of one frame to an observation and its regions; runs in the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.images import decode_image, decode_labels
from vla_iss_ros.messages.sources import nearest_resize
from vla_iss_ros.regions.label_images import RegionError, regions_from_labels
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.ros.inputs import Frame, Inputs
from vla_iss_ros.ros.states import MissingStateError
from vla_iss_ros.ros.worker import BadMessageError, NotReadyError


class Decoder:
    """Decodes frames; bad messages are counted and named."""

    def __init__(self, inputs: Inputs, faults: Faults, takes_state: bool) -> None:
        self._inputs, self._faults, self._takes_state = inputs, faults, takes_state

    def observation(self, frame: Frame, settings: Any) -> Observation:
        """Return the observation of ``frame``.

        Raises NotReadyError, naming it, when an image or the state cannot be used or has not come yet.
        """
        images = {camera: self._image(camera, message) for camera, message in frame.images.items()}
        if settings.missing_camera == "blank":
            images.update({camera: np.zeros_like(images[camera]) for camera in frame.stood_in})
        state = self._state(frame) if self._takes_state else None
        return Observation(images, self._inputs.instruction(settings.instruction), state, frame.stamp)

    def regions(
        self, frame: Frame, images: Mapping[str, np.ndarray], settings: Any, check: Callable[[], None]
    ) -> RegionMap | None:
        """Return the regions of the cameras that have a usable label image, or None when none has."""
        if self._inputs.labels is None:
            return None
        views: dict[str, np.ndarray] = {}
        for camera, message in self._inputs.labels.find(frame.stamps, check).items():
            try:
                labels = {camera: nearest_resize(decode_labels(message), self._size(camera))}
                views.update(regions_from_labels(labels, settings, images).views)
            except MessageError as error:
                self._faults.bad_message(f"regions {camera}", error)
            except RegionError as error:
                self._faults.bad_message(f"regions {camera}", MessageError("wrong shape", str(error)))
        return RegionMap(views) if views else None

    def _size(self, camera: str) -> tuple[int, int] | None:
        return self._inputs.sources.images[camera].size

    def _image(self, camera: str, message: Any) -> np.ndarray:
        try:
            return nearest_resize(decode_image(message), self._size(camera))
        except MessageError as error:
            self._faults.bad_message(f"camera {camera}", error)
            raise BadMessageError(f"bad message on camera {camera}: {error}") from error

    def _state(self, frame: Frame) -> np.ndarray:
        try:
            return self._inputs.states.vector(frame.stamp)
        except MissingStateError as error:
            raise NotReadyError(str(error)) from None
        except MessageError as error:
            self._faults.bad_message("joint states", error)
            raise BadMessageError(f"bad message on joint states: {error}") from error
