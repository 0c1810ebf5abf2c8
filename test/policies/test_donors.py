# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import json

import cv2
import numpy as np
import pytest

from vla_iss_ros.policies.donors import MANIFEST, donors_for, load_donors
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import load_policy


@pytest.fixture
def directory(tmp_path):
    frames = []
    for camera, shade in (("front", 10), ("wrist", 100)):
        (tmp_path / camera).mkdir()
        for index in range(2):
            file = f"{camera}/{index}.png"
            picture = np.full((4, 6, 3), (0, 0, shade + index), np.uint8)  # OpenCV writes BGR: red
            cv2.imwrite(str(tmp_path / file), picture)
            frames.append({"camera": camera, "file": file, "instruction": f"do {index}"})
    (tmp_path / MANIFEST).write_text(json.dumps({"frames": frames}))
    return tmp_path


def test_frames_of_one_moment_belong_together(directory):
    donors = load_donors(directory, ["wrist", "front"], 4)
    assert [donor.instruction for donor in donors] == ["do 0", "do 1"]
    assert donors[1].images["front"][0, 0].tolist() == [11, 0, 0]
    assert donors[1].images["wrist"][0, 0].tolist() == [101, 0, 0]
    assert donors[0].state.tolist() == [0, 0, 0, 0]


def test_unusable_directories_are_named(directory, tmp_path):
    with pytest.raises(PolicyError, match="lack camera 'side'; they have"):
        load_donors(directory, ["side"], None)
    with pytest.raises(PolicyError, match=r"cannot read donors from .*make them with gather_donors"):
        load_donors(tmp_path / "absent", ["front"], None)
    manifest = directory / MANIFEST
    manifest.write_text("{not json")
    with pytest.raises(PolicyError, match="cannot read donors"):
        load_donors(directory, ["front"], None)
    manifest.write_text(json.dumps({"frames": []}))
    with pytest.raises(PolicyError, match="names no donor frames"):
        load_donors(directory, ["front"], None)
    manifest.write_text(json.dumps({"frames": [{"camera": "front", "file": "../outside.png"}]}))
    with pytest.raises(PolicyError, match="lies outside"):
        load_donors(directory, ["front"], None)
    manifest.write_text(json.dumps({"frames": [{"camera": "front", "file": "front/7.png"}]}))
    with pytest.raises(PolicyError, match="missing or not an image"):
        load_donors(directory, ["front"], None)


def test_default_donors_fit_the_shipped_policy():
    donors = donors_for(load_policy("builtin", "cpu"), "", required=True)
    assert len(donors) >= 8
    assert len({donor.instruction for donor in donors}) >= 3


def test_donors_that_nobody_needs_may_be_absent(write_checkpoint, directory):
    policy = load_policy(f"builtin:{write_checkpoint()}", "cpu")
    assert len(donors_for(policy, str(directory), required=True)) == 2
    with pytest.raises(PolicyError, match="cannot read donors"):
        donors_for(policy, str(directory / "absent"), required=False)
