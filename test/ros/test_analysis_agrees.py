# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""analyze_bag and iss_node explain a frame alike: same draws, same numbers."""

import numpy as np
from harness import CAMERAS, stamp_of
from sensor_msgs.msg import Image
from tiny_bag import FRAMES, REMAPPINGS, write_bag

from vla_iss_ros.analysis.bag_analysis import Order, analyse
from vla_iss_ros.analysis.engines import SerialEngine
from vla_iss_ros.analysis.run_directory import AnalysisRun, RunDirectory
from vla_iss_ros.bags.bag_source import BagSource
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.settings import check


def test_a_frame_has_the_same_maps_and_nmr_live_and_from_the_bag(launch, probe, small, tmp_path):
    bag = write_bag(tmp_path / "tiny")
    maps = {
        (camera, name): probe.collect(Image, f"/iss_node/output/{camera}/{name}")
        for camera in CAMERAS
        for name in ("saliency", "stderr")
    }
    figures = {}
    node = launch("iss_node", *REMAPPINGS, **{**small, "image_reliability": "reliable", "stream": False})
    player = launch("bag_player", bag=str(bag), rate=0.25, wait_for_subscribers=1)

    def note():
        status = probe.status("/iss_node: NMR")
        if status and "stamp (s)" in status[2]:
            seconds, nanoseconds = status[2]["stamp (s)"].split(".")
            figures[int(seconds) * 10**9 + int(nanoseconds)] = status[2]
        return player.process.poll() is not None

    probe.until(note, "the bag's end")
    probe.until(note)
    assert node.process.poll() is None

    values = {name: value for name, value in small.items() if name != "cameras"}
    sources = [BagSource.of("tiny", bag, BagTopics(), check(values))]
    analyse(Order(sources, values), RunDirectory(tmp_path / "out"), SerialEngine())
    with AnalysisRun.open(tmp_path / "out") as run:
        rows = {row.stamp: row for row in run.rows}
        assert len(rows) == 2 * FRAMES
        heard = {stamp_of(each) for each in maps["front", "saliency"]}
        assert len(heard) > FRAMES
        for stamp in heard:
            for camera in CAMERAS:
                message = next(each for each in maps[camera, "saliency"] if stamp_of(each) == stamp)
                live = np.frombuffer(message.data, np.float32).reshape(message.height, message.width)
                np.testing.assert_allclose(run.contrast(rows[stamp], camera), live, rtol=1e-4, atol=1e-9)
        with_regions = 0
        for stamp, live in figures.items():
            row, ratio = rows[stamp], rows[stamp].ratios[10]
            figures_of_row = {
                "NMR@10": ratio.value,
                "NMR low": ratio.low,
                "NMR high": ratio.high,
                "chance": row.chance,
                "effect state delta": row.effects["state"].delta,
            }
            # A label image that comes much too late is not waited for; the frame then has no NMR, and says so.
            late = np.isnan(float(live["NMR@10"]))
            with_regions += not late
            for key in ["effect state delta"] if late else figures_of_row:
                # Diagnostics round to six digits.
                np.testing.assert_allclose(figures_of_row[key], float(live[key]), rtol=1e-4, err_msg=key)
        assert with_regions
