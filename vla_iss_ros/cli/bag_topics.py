# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The option that names a bag's image topics, which several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from vla_iss_ros.bags.frames import BagTopics


def add_image_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--image``, which may be given several times."""
    defaults = " ".join(f"{camera}={topic}" for camera, topic in BagTopics().images.items())
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="CAMERA=TOPIC",
        help=f"topic (of a data set: feature) of a camera, once for each; all replace the defaults ({defaults})",
    )


def image_topics(pairs: Sequence[str]) -> Mapping[str, str]:
    """Return camera name to topic, the defaults where there are no ``pairs``; raises ValueError for a bad one."""
    images: dict[str, str] = {}
    for pair in pairs:
        camera, separator, topic = pair.partition("=")
        if not separator or not topic or not camera.replace("_", "").replace("-", "").isalnum():
            raise ValueError(f"--image must be CAMERA=TOPIC, got '{pair}'")
        if camera in images:
            raise ValueError(f"--image names camera '{camera}' twice")
        images[camera] = topic
    return images or BagTopics().images
