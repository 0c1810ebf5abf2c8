"""From the messages of one frame to an observation and its regions; runs in the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.images import decode_image, decode_labels
from vla_iss_ros.messages.joint_states import state_from_joint_state
from vla_iss_ros.messages.stamps import nanoseconds_from_stamp
from vla_iss_ros.regions.label_images import RegionError, regions_from_labels
from vla_iss_ros.ros.faults import Faults
from vla_iss_ros.ros.inputs import Frame, Inputs
from vla_iss_ros.ros.worker import BadMessageError, NotReadyError

# A state older than this says nothing about the picture: the joint states stopped, or clocks differ.
STATE_TOLERANCE = 1.0


class Decoder:
    """Decodes frames; bad messages are counted and named."""

    def __init__(self, inputs: Inputs, faults: Faults, takes_state: bool) -> None:
        self._inputs, self._faults, self._takes_state = inputs, faults, takes_state

    def observation(self, frame: Frame, settings: Any) -> Observation:
        """Return the observation of ``frame``.

        Raises NotReadyError, naming it, when an image or the state cannot be used or has not come yet.
        """
        images = {camera: self._image(camera, message) for camera, message in frame.images.items()}
        state = self._state(frame, settings) if self._takes_state else None
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
                labels = {camera: decode_labels(message)}
                views.update(regions_from_labels(labels, settings, images).views)
            except MessageError as error:
                self._faults.bad_message(f"regions {camera}", error)
            except RegionError as error:
                self._faults.bad_message(f"regions {camera}", MessageError("wrong shape", str(error)))
        return RegionMap(views) if views else None

    def _image(self, camera: str, message: Any) -> np.ndarray:
        try:
            return decode_image(message)
        except MessageError as error:
            self._faults.bad_message(f"camera {camera}", error)
            raise BadMessageError(f"bad message on camera {camera}: {error}") from error

    def _state(self, frame: Frame, settings: Any) -> np.ndarray:
        message = self._inputs.joint_state(frame.stamp)
        if message is None:
            raise NotReadyError(f"no joint states yet; the policy needs {', '.join(settings.state_names)}")
        stamp = nanoseconds_from_stamp(message.header.stamp)
        apart = abs(frame.stamp - stamp) / 1e9
        if frame.stamp and stamp and apart > STATE_TOLERANCE:
            raise NotReadyError(f"the nearest joint state is {apart:.1f} s apart from the images")
        try:
            return state_from_joint_state(message, settings.state_names, settings.state_unit)
        except MessageError as error:
            self._faults.bad_message("joint states", error)
            raise BadMessageError(f"bad message on joint states: {error}") from error
