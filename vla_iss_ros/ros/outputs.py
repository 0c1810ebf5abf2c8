# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Publishers of results: pictures for people, maps for programs. What nobody listens to is not made."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNodeMixin
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float32, String
from visualization_msgs.msg import Marker

from vla_iss_ros.iss.explanation import Explanation
from vla_iss_ros.iss.nmr import NuisanceMassRatio
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.messages.encoding import encode_compressed_image, encode_image
from vla_iss_ros.messages.word_saliency import encode_words
from vla_iss_ros.render.chart import draw_chart
from vla_iss_ros.render.overlay import LEVEL_COLOURS, STOOD_IN, Legend, Scale, draw_overlay, draw_regions
from vla_iss_ros.render.text import FOREGROUND, with_interval
from vla_iss_ros.ros.diagnostics import ERROR, OK, WARN
from vla_iss_ros.ros.inputs import Frame
from vla_iss_ros.ros.shrinking import shrink
from vla_iss_ros.ros.staleness import stale_after

LEVEL_WORDS = {WARN: "warning", ERROR: "error"}
CHART_SIZE = (640, 240)
# Several to a pixel of the chart's width, however long its span.
CHART_POINTS = 4096
TEXT_HEIGHT = 0.05
# A burst of pictures can overflow the shared memory of the middleware, and a reliable reader asks for what it missed
# up to a heartbeat (3 s) later: only what the publisher still keeps can be sent again.
KEPT = 10


@dataclass(frozen=True)
class Result:
    """One explained frame with what it was made from."""

    frame: Frame
    observation: Observation
    regions: RegionMap | None
    explanation: Explanation
    headline: NuisanceMassRatio
    level: bytes = OK


class Outputs:
    """All publishers of results. Used by one thread at a time."""

    def __init__(self, node: LifecycleNodeMixin, cameras: tuple[str, ...]) -> None:
        self._node = node
        self._publishers: list[Any] = []
        self._scale = Scale()
        self._scale_setting = 0.0
        self._points: deque[tuple[float, float, float, float]] = deque()
        self._marked: deque[float] = deque(maxlen=3)
        try:
            self._advertise(cameras)
        except Exception:  # such as a QoS override that does not exist
            self.close()
            raise

    def _advertise(self, cameras: tuple[str, ...]) -> None:
        self._overlays = {camera: self._images(f"{camera}/overlay") for camera in cameras}
        self._compressed = {
            camera: self._publisher(CompressedImage, f"{camera}/overlay/compressed", KEPT)
            for camera in cameras
        }
        self._saliency = {camera: self._images(f"{camera}/saliency") for camera in cameras}
        self._errors = {camera: self._images(f"{camera}/stderr") for camera in cameras}
        self._regions = {camera: self._images(f"{camera}/regions") for camera in cameras}
        self._nmr = self._publisher(Float32, "nmr", 10)
        self._words = self._publisher(String, "instruction_saliency", 10)
        self._chart = self._images("chart")
        self._marker = self._publisher(Marker, "marker", 10)

    def close(self) -> None:
        """Destroy every publisher."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def reset(self) -> None:
        """Forget the chart and the colour scale."""
        self._points.clear()
        self._marked.clear()
        self._scale.reset()

    def wanted(self) -> bool:
        """Return whether anybody listens to any output."""
        return any(_wanted(publisher) for publisher in self._publishers)

    def publish(self, result: Result, settings: Any, check: Callable[[], None]) -> None:
        """Publish all that somebody listens to; ``check`` may raise between two outputs to end early."""
        result = shrink(result, settings.picture_size)
        if not math.isnan(result.headline.value):
            self._nmr.publish(Float32(data=float(result.headline.value)))
        explanation = result.explanation
        if explanation.words and _wanted(self._words):
            self._words.publish(
                encode_words(explanation.words, explanation.stamp, explanation.method, String)
            )
        for camera, message in result.frame.images.items():
            check()
            self._publish_maps(result, camera, message.header)
        check()
        self._publish_overlays(result, settings, check)
        for camera, message in result.frame.images.items():
            check()
            self._publish_regions(result, camera, message.header)
        self._publish_chart(result, settings)
        self._publish_marker(result, settings)

    def _publisher(self, kind: Any, name: str, depth: int) -> Any:
        publisher = self._node.create_lifecycle_publisher(
            kind,
            f"~/output/{name}",
            QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._publishers.append(publisher)
        return publisher

    def _images(self, name: str) -> Any:
        return self._publisher(Image, name, KEPT)

    def _publish_maps(self, result: Result, camera: str, header: Any) -> None:
        size = result.observation.images[camera].shape[:2]
        if _wanted(self._saliency[camera]):
            contrast = result.explanation.contrast_map(camera, size)
            self._saliency[camera].publish(encode_image(contrast, header, Image, "32FC1"))
        if _wanted(self._errors[camera]):
            error = result.explanation.standard_error_map(camera, size)
            self._errors[camera].publish(encode_image(error, header, Image, "32FC1"))

    def _publish_overlays(self, result: Result, settings: Any, check: Callable[[], None]) -> None:
        wanted = [
            camera
            for camera in result.frame.images
            if _wanted(self._overlays[camera]) or _wanted(self._compressed[camera])
        ]
        if not wanted:
            return
        images = result.observation.images
        # The scale is one for all views, so that their colours can be compared.
        contrasts = {
            camera: result.explanation.contrast_map(camera, image.shape[:2])
            for camera, image in images.items()
        }
        scale = self._present_scale(settings).update(contrasts.values())
        for camera in wanted:
            check()
            self._publish_overlay(result, camera, contrasts, scale, settings)

    def _present_scale(self, settings: Any) -> Scale:
        if settings.overlay_scale != self._scale_setting:
            self._scale, self._scale_setting = Scale(settings.overlay_scale), settings.overlay_scale
        return self._scale

    def _publish_overlay(
        self, result: Result, camera: str, contrasts: Mapping[str, np.ndarray], scale: float, settings: Any
    ) -> None:
        picture = draw_overlay(
            result.observation.images[camera],
            contrasts[camera],
            scale,
            alpha=settings.overlay_alpha,
            colour_map=settings.colour_map,
            legend=_legend(result, camera, self._scale.adapts),
        )
        header = result.frame.images[camera].header
        if _wanted(self._overlays[camera]):
            self._overlays[camera].publish(encode_image(picture, header, Image, "rgb8"))
        if _wanted(self._compressed[camera]):
            self._compressed[camera].publish(encode_compressed_image(picture, header, CompressedImage))

    def _publish_regions(self, result: Result, camera: str, header: Any) -> None:
        regions = result.regions.views.get(camera) if result.regions else None
        if regions is None or not _wanted(self._regions[camera]):
            return
        picture = draw_regions(result.observation.images[camera], regions)
        self._regions[camera].publish(encode_image(picture, header, Image, "rgb8"))

    def _publish_chart(self, result: Result, settings: Any) -> None:
        headline = result.headline
        self._keep_point(result.frame.stamp / 1e9, headline, settings.chart_seconds)
        if _wanted(self._chart):
            picture = draw_chart(
                tuple(self._points),
                headline.chance,
                size=CHART_SIZE,
                span=settings.chart_seconds,
                percent=headline.percent,
                state=headline.reason,
            )
            self._chart.publish(encode_image(picture, _first_header(result), Image, "rgb8"))

    def _keep_point(self, seconds: float, headline: NuisanceMassRatio, span: float) -> None:
        """Take in a point of the chart and keep those of ``span`` seconds, of each CHART_POINTS-th of it the newest."""
        if self._points and seconds < self._points[-1][0]:
            self._points.clear()
        step = span / CHART_POINTS
        if self._points and seconds // step == self._points[-1][0] // step:
            self._points.pop()
        self._points.append((seconds, headline.value, headline.low, headline.high))
        while self._points[0][0] < seconds - span:
            self._points.popleft()

    def _publish_marker(self, result: Result, settings: Any) -> None:
        self._marked.append(time.monotonic())
        if not _wanted(self._marker):
            return
        marker = Marker(
            header=_first_header(result), ns="nmr", type=Marker.TEXT_VIEW_FACING, action=Marker.ADD
        )
        marker.pose.orientation.w = 1.0
        marker.scale.z = TEXT_HEIGHT
        colour = LEVEL_COLOURS.get(LEVEL_WORDS.get(result.level, ""), FOREGROUND)
        marker.color.r, marker.color.g, marker.color.b = (part / 255 for part in colour)
        marker.color.a = 1.0
        marker.text = describe(result.headline, result.explanation.samples)
        marker.lifetime = Duration(seconds=self._lifetime(result, settings)).to_msg()
        self._marker.publish(marker)

    def _lifetime(self, result: Result, settings: Any) -> float:
        """Return the seconds after which a viewer shall drop a result that no other has followed: when it is stale."""
        latency = self._marked[-1] - result.frame.arrived
        # The shorter of the last two distances, for one may hold a pause of the cameras.
        apart = min((after - before for before, after in pairwise(self._marked)), default=0.0)
        return stale_after(latency, apart * settings.duty_cycle, settings)


def describe(headline: NuisanceMassRatio, samples: int) -> str:
    """Return NMR in words and figures, or why there is none."""
    if math.isnan(headline.value):
        return f"NMR@{headline.percent} undefined: {headline.reason}"
    value = with_interval(headline.value, headline.low, headline.high)
    return f"NMR@{headline.percent} {value}, chance {headline.chance:.2f}, N = {samples}"


def _legend(result: Result, camera: str, adapts: bool) -> Legend:
    headline, explanation = result.headline, result.explanation
    return Legend(
        camera=camera,
        percent=headline.percent,
        value=headline.value,
        low=headline.low,
        high=headline.high,
        chance=headline.chance,
        samples=explanation.samples,
        state=STOOD_IN if camera in result.frame.stood_in else _state(result),
        adapts=adapts,
        level=LEVEL_WORDS.get(result.level, ""),
        words=_words(result),
    )


def _words(result: Result) -> list[tuple[str, float]]:
    """Return the instruction's words with their contrast, NaN where it was not measured."""
    if result.explanation.words:
        return [(each.word, each.contrast) for each in result.explanation.words]
    return [(word, math.nan) for word in result.observation.instruction.split()]


def _state(result: Result) -> str:
    """Return in a few words why there is no NMR, or what cut it short; /diagnostics say it in full."""
    if result.headline.reason:
        return f"no NMR: {result.headline.reason.split(':')[0]}"
    return "stopped by the time budget" if result.explanation.stop_reason == "time budget" else ""


def _first_header(result: Result) -> Any:
    return next(iter(result.frame.images.values())).header


def _wanted(publisher: Any) -> bool:
    return publisher.get_subscription_count() > 0
