# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from bag_factory import write_bag
from message_factory import TYPES, Header, Time, compressed, header, image_of

from vla_iss_ros.analysis.recording import RecordedTopics, explained_frame, read_recording
from vla_iss_ros.bags.episodes import Episode
from vla_iss_ros.messages.encoding import encode_compressed_image

SECOND = 10**9
START = 1_767_225_600 * SECOND
TOPICS = RecordedTopics({"front": "/front/image/compressed"})
EPISODES = (Episode(0, START), Episode(1, START + 10 * SECOND))
PIXELS = np.full((8, 12, 3), 90, np.uint8)
Float32 = TYPES["std_msgs/msg/Float32"]
DiagnosticArray = TYPES["diagnostic_msgs/msg/DiagnosticArray"]
DiagnosticStatus = TYPES["diagnostic_msgs/msg/DiagnosticStatus"]
KeyValue = TYPES["diagnostic_msgs/msg/KeyValue"]


def picture(stamp):
    message = encode_compressed_image(PIXELS, None, lambda **values: values)
    return compressed(np.asarray(message["data"], np.uint8).tobytes(), "jpeg", stamp)


def outputs(stamp, nmr, contrast):
    """What iss_node publishes about one frame, logged at its stamp."""
    if not math.isnan(nmr):
        yield "/iss_node/output/nmr", Float32(nmr), stamp
    yield "/iss_node/output/front/saliency", image_of(contrast, "32FC1", stamp=stamp), stamp
    yield "/iss_node/output/front/regions", image_of(PIXELS, "rgb8", stamp=stamp), stamp


def report(stamp, values, name="/iss_node: NMR"):
    pairs = {"stamp (s)": f"{stamp // SECOND}.{stamp % SECOND:09d}", **values}
    status = DiagnosticStatus(0, name, "", "", [KeyValue(key, value) for key, value in pairs.items()])
    return "/diagnostics", DiagnosticArray(Header(Time(0, 0), ""), [status]), stamp + 1


def figures(nmr):
    return {
        "NMR@10": str(nmr),
        "NMR low": "0.1",
        "NMR high": "0.9",
        "NMR reason": "",
        "chance": "0.3",
        "samples N": "128",
        "effect camera front share": "0.5",
        "effect state share": "nan",
        "effect state reason": "no recorded mean",
        "effect everything share": "1",
    }


def contrast(value):
    return np.full((8, 12), value, np.float32)


def read(tmp_path, messages):
    bag = write_bag(tmp_path / "bag", messages)
    return read_recording(bag, TOPICS, 10, EPISODES, ["press", "push"])


def test_frame_has_its_pictures_and_figures(tmp_path):
    stamp = START + SECOND // 8
    messages = [("/front/image/compressed", picture(stamp), stamp), *outputs(stamp, 0.25, contrast(0.5))]
    recording = read(tmp_path, [*messages, report(stamp, figures(0.25))])
    (frame,), (shown,) = recording.explained, recording.shown
    assert shown.explained == frame
    assert (frame.stamp, frame.seconds, frame.episode) == (stamp, 0.125, "press")
    assert (frame.nmr, frame.low, frame.high, frame.chance, frame.samples) == (0.25, 0.1, 0.9, 0.3, 128)
    assert frame.effects == pytest.approx({"front": 0.5, "state": math.nan}, nan_ok=True)
    assert frame.effect_reasons == {"state": "no recorded mean"}
    assert np.array_equal(shown.contrasts["front"], contrast(0.5))
    assert np.abs(shown.images["front"].astype(int) - 90).max() <= 2
    assert np.array_equal(shown.regions["front"], PIXELS)


def test_report_belongs_to_the_frame_of_exactly_its_stamp(tmp_path):
    stamp = START + 424_999_999
    messages = [m for moment in (stamp, stamp + 1) for m in outputs(moment, 0.25, contrast(0.5))]
    messages += [("/front/image/compressed", picture(moment), moment) for moment in (stamp, stamp + 1)]
    recording = read(tmp_path, [*messages, report(stamp, figures(0.25))])
    assert [(frame.stamp, frame.samples) for frame in recording.explained] == [(stamp, 128), (stamp + 1, 0)]
    assert len(recording.shown) == 2


def test_report_of_no_frame_is_not_given_to_a_neighbour(tmp_path):
    messages = [("/front/image/compressed", picture(START), START), *outputs(START, 0.25, contrast(0.5))]
    recording = read(tmp_path, [*messages, report(START + 500, figures(0.25))])
    assert [(frame.stamp, frame.samples) for frame in recording.explained] == [(START, 0), (START + 500, 128)]


def test_frames_between_two_reports_have_the_nmr_topic_s_value_and_no_interval(tmp_path):
    stamps = [START, START + 11 * SECOND]
    messages = []
    for stamp, nmr in zip(stamps, (0.25, 0.75), strict=True):
        messages += [("/front/image/compressed", picture(stamp), stamp), *outputs(stamp, nmr, contrast(1.0))]
    recording = read(tmp_path, [*messages, report(stamps[0], figures(0.25))])
    assert [frame.nmr for frame in recording.explained] == [0.25, 0.75]
    assert [frame.episode for frame in recording.explained] == ["press", "push"]
    assert math.isnan(recording.explained[1].low)
    assert recording.explained[1].samples == 0


def test_nmr_is_not_guessed_when_one_was_lost(tmp_path):
    stamps = [START, START + SECOND]
    messages = [m for stamp in stamps for m in outputs(stamp, math.nan, contrast(1.0))]
    messages.append(("/iss_node/output/nmr", Float32(0.25), START + 1))
    assert all(math.isnan(frame.nmr) for frame in read(tmp_path, messages).explained)


def test_reported_frame_without_maps_counts_but_is_not_shown(tmp_path):
    recording = read(tmp_path, [report(START, figures(0.25))])
    assert (len(recording.explained), len(recording.shown)) == (1, 0)


def test_other_nodes_and_reports_without_a_frame_are_not_frames(tmp_path):
    other = report(START, figures(0.25), name="/other_node: NMR")
    status = DiagnosticStatus(1, "/iss_node: NMR", "no frame has been explained yet", "", [])
    empty = ("/diagnostics", DiagnosticArray(header(), [status]), START)
    assert read(tmp_path, [other, empty]).explained == []


def test_frame_without_a_report_is_nan():
    frame = explained_frame(1, math.nan, {}, 10, seconds=0.0, episode="")
    assert math.isnan(frame.nmr)
    assert math.isnan(frame.chance)
    assert frame.effects == {}
