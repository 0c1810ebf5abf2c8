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
        assert figures
        for stamp, live in figures.items():
            ratio = rows[stamp].ratios[10]
            found = (
                ratio.value,
                ratio.low,
                ratio.high,
                rows[stamp].chance,
                rows[stamp].effects["state"].delta,
            )
            keys = ("NMR@10", "NMR low", "NMR high", "chance", "effect state delta")
            # Diagnostics round to six digits.
            np.testing.assert_allclose(found, [float(live[key]) for key in keys], rtol=1e-4)
