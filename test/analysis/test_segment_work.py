# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
from collections import Counter

import cv2
import numpy as np
import pytest
from bag_factory import START, STEP, sample_messages, write_bag
from recorded_run import order

from vla_iss_ros.analysis.segment_work import Job, Reader, Task
from vla_iss_ros.regions.recorded import LabelFiles


@pytest.fixture
def labels(tmp_path):
    """Label images of both cameras by stamp: frame n is of label n + 1."""
    for camera in ("front", "wrist"):
        (tmp_path / "labels" / camera).mkdir(parents=True)
        for index in range(6):
            path = tmp_path / "labels" / camera / f"{START + index * STEP}.png"
            cv2.imwrite(str(path), np.full((16, 24), index + 1, np.uint8))
    return LabelFiles((("front", tmp_path / "labels/front"), ("wrist", tmp_path / "labels/wrist")))


def frames_of(asked, problems):
    (source,) = asked.sources
    with source.open() as opened:
        segments = opened.plan(16).segments
    job = Job(source, asked.settings, asked.labels)
    with Reader() as reader:
        return [frame for segment in segments for frame in reader.frames(Task(job, segment), problems, {})]


def robot(frame):
    """Return the cameras whose whole image is the robot's."""
    return {
        camera for camera, view in frame.regions.views.items() if (view == view[0, 0]).all() and view[0, 0]
    }


def test_labels_of_an_image_that_stands_in_are_those_of_its_own_instant(tmp_path, labels):
    messages = list(sample_messages((6,)))
    gone = [each for each in messages if not (each[0].startswith("/wrist") and each[2] > START)]
    bag = write_bag(tmp_path / "tiny", gone)
    changes = {"missing_camera": "hold", "missing_camera_after": 0.25, "actor_labels": [1]}
    problems = Counter()
    frames = frames_of(order(bag, labels=labels, **changes), problems)
    assert [frame.stood_in for frame in frames] == [set(), *({"wrist"},) * 3]
    assert [robot(frame) for frame in frames] == [{"front", "wrist"}, *({"wrist"},) * 3]


def test_labels_of_one_camera_that_cannot_be_read_leave_the_others(tmp_path, labels):
    bag = write_bag(tmp_path / "tiny", sample_messages((2,)))
    (tmp_path / "labels" / "wrist" / f"{START}.png").write_bytes(b"no picture")
    problems = Counter()
    first, second = frames_of(order(bag, labels=labels), problems)
    assert set(first.regions.views) == {"front"}
    assert set(second.regions.views) == {"front", "wrist"}
    assert sum(count for reason, count in problems.items() if reason.startswith("regions: ")) == 1
