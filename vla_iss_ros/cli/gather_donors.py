# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``gather_donors``: make a donor set from a bag."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vla_iss_ros.bags.donors import BagMoments, Moments, write_donors
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.lerobot_donors import DatasetMoments
from vla_iss_ros.bags.lerobot_layout import is_dataset, read_layout
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.cli.bag_topics import add_image_option, image_topics
from vla_iss_ros.cli.dataset_options import dataset_source
from vla_iss_ros.settings import BY_NAME

PROGRAM = "gather_donors"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after one line on stderr when the input cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        with contextlib.ExitStack() as stack:
            moments = _moments(options, stack)
            generator = np.random.default_rng(options.seed)
            gathered = write_donors(
                moments, options.out, options.count, generator, overwrite=options.overwrite
            )
    except (BagError, ValueError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    for problem, count in sorted(gathered.problems.items()):
        print(f"{PROGRAM}: {problem}: {count}", file=sys.stderr)
    print(
        f"{PROGRAM}: wrote {gathered.moments} of {options.count} moments from {gathered.episodes} episodes, "
        f"cameras {', '.join(gathered.cameras)}, {gathered.bytes / 1e6:.2f} MB, to {options.out}"
    )
    return 0


def _moments(options: argparse.Namespace, stack: contextlib.ExitStack) -> Moments:
    """Return the moments of the bag or the data set, which ``stack`` closes."""
    if not is_dataset(options.bag):
        defaults = BagTopics()
        # Without --instruction-topic and --episode-topic those of the samples.
        topics = BagTopics(
            images=image_topics(options.image),
            labels={},
            state="",
            instruction=_given(options.instruction_topic, defaults.instruction),
            episode=_given(options.episode_topic, defaults.episode),
        )
        return BagMoments(stack.enter_context(Bag(options.bag)), topics, options.slop, options.gap)
    if options.image:
        cameras = list(image_topics(options.image))
    else:
        cameras = [feature.rpartition(".")[2] for feature in read_layout(options.bag).pictures]
    source = dataset_source(
        options.bag, "donors", options, cameras, (), lambda line: print(f"{PROGRAM}: {line}"), state=False
    )
    opened = stack.enter_context(source.open())
    return DatasetMoments(opened, options.bag.resolve().name, cameras)


def _given(option: str | None, default: str) -> str:
    return default if option is None else option


def _parser() -> argparse.ArgumentParser:
    defaults = BagTopics()
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Make a donor set for the donor baseline from a rosbag2 or a LeRobot data set.",
    )
    parser.add_argument("bag", type=Path, help="rosbag2 directory, or directory of a LeRobot data set")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="donor set to write")
    parser.add_argument(
        "--count", type=int, default=16, help="moments to take, each with all cameras (%(default)s)"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="seed of the choice (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing donor set")
    add_image_option(parser)
    parser.add_argument("--instruction-topic", metavar="TOPIC", help=f"({defaults.instruction})")
    parser.add_argument(
        "--episode-topic", metavar="TOPIC", help=f"markers of episode starts ({defaults.episode})"
    )
    parser.add_argument(
        "--gap", type=float, default=1.0, help="pause that starts an episode without markers, s (%(default)s)"
    )
    parser.add_argument(
        "--slop",
        type=float,
        default=BY_NAME["sync_slop"].default,
        help="largest difference of the cameras' stamps, s (%(default)s)",
    )
    return parser


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {seed}")
    return seed


if __name__ == "__main__":
    sys.exit(main())
