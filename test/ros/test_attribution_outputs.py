"""Words and attributions of a real node in token space."""

import json

import pytest
from harness import CAMERAS, Robot
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
