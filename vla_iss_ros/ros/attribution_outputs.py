# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Publishers of attributions that are not ISS, each on topics of its own and labelled."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNodeMixin
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image

from vla_iss_ros.iss.explanation import Explanation
from vla_iss_ros.messages.encoding import encode_image
from vla_iss_ros.render.overlay import Legend, Scale, draw_overlay
from vla_iss_ros.ros.outputs import KEPT, Result

Explain = Callable[[], Explanation]


class AttributionOutputs:
    """``~/output/<camera>/<attribution>/overlay`` and ``/saliency``; what nobody listens to is not computed."""

    def __init__(
        self, node: LifecycleNodeMixin, cameras: Collection[str], attributions: Collection[str]
    ) -> None:
        self._node = node
        self._publishers: dict[str, dict[tuple[str, str], Any]] = {name: {} for name in attributions}
        # A scale each: their units are not those of ISS, nor each other's.
        self._scales = {name: Scale() for name in attributions}
        try:
            for name, publishers in self._publishers.items():
                for camera in cameras:
                    for kind in ("overlay", "saliency"):
                        publishers[camera, kind] = self._publisher(f"{camera}/{name}/{kind}")
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Destroy every publisher."""
        for publishers in self._publishers.values():
            for publisher in publishers.values():
                self._node.destroy_lifecycle_publisher(publisher)
            publishers.clear()

    def reset(self) -> None:
        """Forget the colour scales."""
        for scale in self._scales.values():
            scale.reset()

    def wanted(self) -> bool:
        """Return whether anybody listens."""
        return any(self._wanted(name) for name in self._publishers)

    def publish(
        self, result: Result, explain: Mapping[str, Explain], settings: Any, check: Callable[[], None]
    ) -> None:
        """Compute and publish what somebody listens to; ``check`` may raise between two of them."""
        for name in self._publishers:
            if self._wanted(name):
                check()
                self._publish(name, result, explain[name](), settings)

    def _publish(self, name: str, result: Result, explanation: Explanation, settings: Any) -> None:
        images = result.observation.images
        maps = {camera: explanation.contrast_map(camera, image.shape[:2]) for camera, image in images.items()}
        scale = self._scales[name].update(maps.values())
        for camera, message in result.frame.images.items():
            saliency = self._publishers[name][camera, "saliency"]
            if saliency.get_subscription_count():
                saliency.publish(encode_image(maps[camera], message.header, Image, "32FC1"))
            overlay = self._publishers[name][camera, "overlay"]
            if overlay.get_subscription_count():
                picture = draw_overlay(
                    images[camera],
                    maps[camera],
                    scale,
                    alpha=settings.overlay_alpha,
                    colour_map=settings.colour_map,
                    legend=_legend(name, camera, explanation, settings),
                )
                overlay.publish(encode_image(picture, message.header, Image, "rgb8"))

    def _wanted(self, name: str) -> bool:
        return any(publisher.get_subscription_count() for publisher in self._publishers[name].values())

    def _publisher(self, name: str) -> Any:
        return self._node.create_lifecycle_publisher(
            Image,
            f"~/output/{name}",
            QoSProfile(depth=KEPT, reliability=ReliabilityPolicy.RELIABLE),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )


def _legend(name: str, camera: str, explanation: Explanation, settings: Any) -> Legend:
    headline = explanation.ratios[settings.nmr_percent]
    return Legend(
        camera=camera,
        percent=headline.percent,
        value=headline.value,
        low=math.nan,
        high=math.nan,
        chance=headline.chance,
        samples=explanation.samples,
        state=f"{name.replace('_', ' ')}, not ISS",
        adapts=True,
        words=[(each.word, each.contrast) for each in explanation.words],
    )
