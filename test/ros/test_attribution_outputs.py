# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Words and attributions of a real node in token space."""

import json

import pytest
from harness import CAMERAS, SECOND, Robot, number
from sensor_msgs.msg import Image
from std_msgs.msg import String

NODE = "/iss_node"


@pytest.fixture(scope="module")
def heard(launch, probe, small):
    parameters = {**small, "space": "token", "attributions": "all", "donors": "", "estimator": "spatial"}
    launch("iss_node", **parameters, image_transport="raw")
    words = probe.collect(String, f"{NODE}/output/instruction_saliency")
    overlays = {
        name: probe.collect(Image, f"{NODE}/output/{CAMERAS[0]}/{name}/overlay")
        for name in ("attention", "token_norm", "gradient_input", "knock_out")
    }
    saliency = probe.collect(Image, f"{NODE}/output/{CAMERAS[0]}/attention/saliency")
    robot = Robot(probe, NODE)
    robot.instruct()
    robot.until(lambda: words and saliency and all(overlays.values()), "words and attributions")
    return words, overlays, saliency


def test_words_are_published_with_their_standard_errors(heard):
    said = json.loads(heard[0][-1].data)
    assert said["method"].startswith("ISS: tokens replaced by mean embeddings")
    assert said["words"]
    assert set(said["words"][0]) == {"word", "contrast", "standard_error"}


def test_every_attribution_has_a_picture_and_numbers(heard):
    _, overlays, saliency = heard
    assert all(pictures[-1].encoding == "rgb8" for pictures in overlays.values())
    assert saliency[-1].encoding == "32FC1"


def test_attributions_follow_the_settings(heard, probe):
    """Ratios of a k that is not always there, where the settings ask for it while the node runs."""
    _, overlays, _ = heard
    robot = Robot(probe, NODE)
    robot.stamp = 1000 * SECOND
    assert probe.set_parameters(NODE, together=True, nmr_percent=15).successful
    robot.until(lambda: probe.value(f"{NODE}: NMR", "NMR@15"), "a frame with the new k")
    before = {name: len(pictures) for name, pictures in overlays.items()}
    robot.until(
        lambda: all(len(overlays[name]) > count for name, count in before.items()),
        "attributions with the new k",
    )
    assert number(probe, NODE, "errors") == 0
