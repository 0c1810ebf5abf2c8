"""Command line of ``gather_donors``: make a donor set from a bag."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vla_iss_ros.bags.donors import gather_donors
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.cli.bag_topics import add_image_option, image_topics
from vla_iss_ros.settings import BY_NAME

PROGRAM = "gather_donors"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after one line on stderr when the input cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        topics = _topics(options)
        with Bag(options.bag) as bag:
            gathered = gather_donors(
                bag,
                options.out,
                topics,
                options.count,
                np.random.default_rng(options.seed),
                overwrite=options.overwrite,
                slop=options.slop,
                gap=options.gap,
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


def _parser() -> argparse.ArgumentParser:
    defaults = BagTopics()
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Make a donor set for the donor baseline from a rosbag2."
    )
    parser.add_argument("bag", type=Path, help="rosbag2 directory")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="donor set to write")
    parser.add_argument(
        "--count", type=int, default=16, help="moments to take, each with all cameras (%(default)s)"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="seed of the choice (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing donor set")
    add_image_option(parser)
    parser.add_argument(
        "--instruction-topic", default=defaults.instruction, metavar="TOPIC", help="(%(default)s)"
    )
    parser.add_argument(
        "--episode-topic",
        default=defaults.episode,
        metavar="TOPIC",
        help="markers of episode starts (%(default)s)",
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


def _topics(options: argparse.Namespace) -> BagTopics:
    """Return the topics that the options name; a donor set needs neither labels nor state."""
    return BagTopics(
        images=image_topics(options.image),
        labels={},
        state="",
        instruction=options.instruction_topic,
        episode=options.episode_topic,
    )


if __name__ == "__main__":
    sys.exit(main())
