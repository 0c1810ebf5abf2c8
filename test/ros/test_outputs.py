# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What nobody listens to is not made."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from sensor_msgs.msg import Image

from vla_iss_ros.iss.nmr import NuisanceMassRatio
from vla_iss_ros.iss.region_map import RegionMap
from vla_iss_ros.iss.words import WordSaliency
from vla_iss_ros.ros import outputs as module
from vla_iss_ros.ros.outputs import Outputs, Result
from vla_iss_ros.settings import check


class FakeNode:
    def __init__(self, listened):
        self.listened, self.published, self.destroyed = listened, [], 0

    def create_lifecycle_publisher(self, kind, topic, qos, qos_overriding_options):
        name = topic.removeprefix("~/output/")
        return SimpleNamespace(
            publish=lambda message: self.published.append((name, message)),
            get_subscription_count=lambda: int(name in self.listened),
        )

    def destroy_lifecycle_publisher(self, publisher):
        self.destroyed += 1


class FakeExplanation:
    samples, stop_reason, stamp, method = 8, "samples", 7, "ISS"
    words = (WordSaliency("press", 0.5, 0.1),)

    def __init__(self):
        self.maps = 0

    def contrast_map(self, camera, size):
        self.maps += 1
        return np.full(size, 0.5, np.float32)

    standard_error_map = contrast_map


def publish(listened=(), value=0.25, regions=True, outputs=None, stamp=10**9, arrived=0.0, **values):
    node = outputs._node if outputs else FakeNode(set(listened))
    outputs = outputs or Outputs(node, ("front",))
    image = Image()
    image.header.frame_id = "front_camera"
    frame = SimpleNamespace(images={"front": image}, stamp=stamp, arrived=arrived, stood_in=frozenset())
    observation = SimpleNamespace(images={"front": np.zeros((24, 32, 3), np.uint8)}, instruction="press it")
    found = RegionMap({"front": np.zeros((24, 32), np.uint8)}) if regions else None
    headline = NuisanceMassRatio(10, value, chance=0.5, reason="" if value == value else "no regions")
    explanation = FakeExplanation()
    outputs.publish(Result(frame, observation, found, explanation, headline), check(values), lambda: None)
    return node, explanation, outputs


def test_without_listeners_only_the_number_is_published(monkeypatch):
    for name in ("draw_overlay", "draw_chart", "draw_regions", "encode_image", "encode_compressed_image"):
        monkeypatch.setattr(module, name, lambda *args, **kwargs: pytest.fail("work that nobody asked for"))
    node, explanation, _ = publish(set())
    assert [name for name, _ in node.published] == ["nmr"]
    assert explanation.maps == 0


@pytest.mark.parametrize(
    "name",
    [
        "front/overlay",
        "front/overlay/compressed",
        "front/saliency",
        "front/stderr",
        "front/regions",
        "chart",
        "marker",
    ],
)
def test_each_output_comes_alone_with_the_images_header(name):
    node, _, _ = publish({name})
    assert [each for each, _ in node.published] == ["nmr", name]
    assert node.published[1][1].header.frame_id == "front_camera"


def test_words_come_as_json_where_somebody_listens():
    node, _, _ = publish({"instruction_saliency"})
    assert [each for each, _ in node.published] == ["nmr", "instruction_saliency"]
    assert json.loads(node.published[1][1].data)["words"][0]["word"] == "press"


def test_an_undefined_nmr_is_not_published_and_the_marker_says_why():
    node, _, _ = publish({"marker"}, value=float("nan"))
    ((name, marker),) = node.published
    assert (name, marker.text) == ("marker", "NMR@10 undefined: no regions")


def test_without_regions_no_picture_of_them():
    node, _, _ = publish({"front/regions"}, regions=False)
    assert [name for name, _ in node.published] == ["nmr"]


def test_close_destroys_every_publisher():
    node, _, outputs = publish(set())
    outputs.close()
    outputs.close()
    assert node.destroyed == 9


@pytest.mark.parametrize(
    ("reason", "stopped", "text"),
    [
        ("no regions: label images tell which positions are nuisance", "samples", "no NMR: no regions"),
        ("", "time budget", "stopped by the time budget"),
        ("", "samples", ""),
    ],
)
def test_the_state_in_the_picture_is_short(reason, stopped, text):
    result = SimpleNamespace(
        headline=SimpleNamespace(reason=reason), explanation=SimpleNamespace(stop_reason=stopped)
    )
    assert module._state(result) == text


@pytest.mark.parametrize(("span", "rate"), [(120.0, 10), (3600.0, 10), (86400.0, 0.5)])
def test_the_chart_has_its_whole_span_in_a_bounded_number_of_points(monkeypatch, span, rate):
    drawn = []

    def draw(series, *_, **__):
        drawn.append([seconds for seconds, *_ in series])
        return np.zeros((9, 16, 3), np.uint8)

    monkeypatch.setattr(module, "draw_chart", draw)
    outputs = Outputs(FakeNode({"chart"}), ("front",))
    headline = NuisanceMassRatio(10, 0.25, chance=0.5)
    first, count = 1_700_000_000, round(1.1 * span * rate)
    for index in range(count):
        outputs._keep_point(first + index / rate, headline, span)
        assert len(outputs._points) <= module.CHART_POINTS + 1
    last = first + count / rate
    publish(outputs=outputs, stamp=round(last * 1e9), chart_seconds=span)
    (times,) = drawn
    assert times[-1] == last
    longest = 2 * max(1 / rate, span / module.CHART_POINTS)
    assert last - span <= times[0] <= last - span + longest
    assert max(np.diff(times)) <= longest


def test_the_marker_goes_when_the_result_is_stale(monkeypatch):
    outputs = Outputs(FakeNode({"marker"}), ("front",))

    def lifetime(now, latency):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
        publish(outputs=outputs, arrived=now - latency, max_rate=10.0)
        message = outputs._node.published[-1][1].lifetime
        return message.sec + message.nanosec / 1e9

    assert lifetime(100.0, latency=0.5) == pytest.approx(5.0 + 0.1)
    assert lifetime(100.2, latency=0.5) == pytest.approx(5.0 + 0.2)
    assert lifetime(100.4, latency=4.0) == pytest.approx(12.0 + 0.2)
    # A pause of the cameras says nothing of when the next result is due, two such distances do.
    assert lifetime(3600.0, latency=0.5) == pytest.approx(5.0 + 0.2)
    assert lifetime(3608.0, latency=0.5) == pytest.approx(5.0 + 8.0)
