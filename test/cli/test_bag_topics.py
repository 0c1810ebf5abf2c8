# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import argparse

import pytest

from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.cli.bag_topics import add_image_option, image_topics


def test_cameras_are_read_from_the_option():
    parser = argparse.ArgumentParser()
    add_image_option(parser)
    assert image_topics(parser.parse_args(["--image", "a=/x", "--image", "b-2=/y"]).image) == {
        "a": "/x",
        "b-2": "/y",
    }
    assert image_topics(parser.parse_args([]).image) == BagTopics().images


@pytest.mark.parametrize("pairs", [["front"], ["=/t"], ["a="], ["../x=/t"], ["a=/t", "a=/u"]])
def test_bad_pairs_are_named(pairs):
    with pytest.raises(ValueError, match="--image"):
        image_topics(pairs)
