# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``compute_means``: gather a policy's mean embeddings from a bag."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.lerobot_layout import is_dataset
from vla_iss_ros.bags.observations import iterate_observations
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.cli.bag_topics import add_image_option, image_topics
from vla_iss_ros.cli.dataset_options import dataset_source
from vla_iss_ros.cli.policy_options import add_policy_options
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.iss.token_means import gather_means
from vla_iss_ros.iss.tokens import Encoded
from vla_iss_ros.policies.errors import PolicyError
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.permissions import Permissions
from vla_iss_ros.policies.protocol import TokenPolicy
from vla_iss_ros.policies.token_means import FEW_FRAMES, beside, save_means
from vla_iss_ros.settings import BY_NAME

PROGRAM = "compute_means"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after one line on stderr when the input cannot be used."""
    options = _parser().parse_args(arguments)
    problems: Counter[str] = Counter()
    try:
        policy = load_policy(options.policy, options.device, Permissions.of(options))
        if not isinstance(policy, TokenPolicy):
            raise ValueError(
                f"policy '{options.policy}' has no tokens ({type(policy).__name__} cannot encode); "
                "explain it with space pixel, which needs no means"
            )
        out = options.out or beside(options.policy)
        if out is None:
            raise ValueError(f"policy '{options.policy}' has no path of its own; name a file with --out")
        if out.exists() and not options.overwrite:
            raise ValueError(f"'{out}' exists; give --overwrite to replace it")
        with torch.inference_mode():
            means = gather_means(_encodings(policy, options, problems))
        save_means(means, policy, out)
    except (BagError, PolicyError, ValueError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    finally:
        for problem, count in sorted(problems.items()):
            print(f"{PROGRAM}: {problem}: {count}", file=sys.stderr)
    if means.frames < FEW_FRAMES:
        print(f"{PROGRAM}: only {means.frames} frames; take more data or a smaller --stride", file=sys.stderr)
    seen = ", ".join(f"{name} {count}" for name, count in means.counts.items())
    print(f"{PROGRAM}: {means.frames} frames, tokens seen: {seen}; wrote {out}")
    return 0


def _encodings(policy: TokenPolicy, options: argparse.Namespace, problems: Counter[str]) -> Iterator[Encoded]:
    """Yield every ``--stride``-th frame's tokens; frames that do not fit are counted."""
    names = options.state_names or list(policy.spec.state_names)
    read = _of_dataset if is_dataset(options.bag) else _of_bag
    for observation in read(policy, options, names, problems):
        try:
            yield policy.encode(policy.preprocess(observation))
        except ValueError as error:
            problems[f"frame: {error}"] += 1


def _of_bag(
    policy: TokenPolicy, options: argparse.Namespace, names: Sequence[str], problems: Counter[str]
) -> Iterator[Observation]:
    defaults = BagTopics()
    topics = BagTopics(
        images=image_topics(options.image),
        labels={},
        state=defaults.state if options.state_topic is None else options.state_topic,
        instruction=defaults.instruction if options.instruction_topic is None else options.instruction_topic,
    )
    reading = {"state_names": names, "state_unit": options.state_unit, "stride": options.stride}
    with Bag(options.bag) as bag:
        for observation, _, _ in iterate_observations(bag, topics, problems, **reading):
            yield observation


def _of_dataset(
    policy: TokenPolicy, options: argparse.Namespace, names: Sequence[str], problems: Counter[str]
) -> Iterator[Observation]:
    source = dataset_source(
        options.bag,
        "means",
        options,
        policy.spec.camera_names,
        names,
        lambda line: print(f"{PROGRAM}: {line}"),
        state_unit=options.state_unit,
        state=bool(names),
    )
    with source.open() as opened:
        for _, frame in opened.all_frames(problems):
            if frame.frame % options.stride == 0:
                yield frame.observation


def _parser() -> argparse.ArgumentParser:
    defaults = BagTopics()
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Gather the mean embeddings that token space replaces image patches and words by, from a "
        "rosbag2 or a LeRobot data set.",
    )
    parser.add_argument("bag", type=Path, help="rosbag2 directory, or directory of a LeRobot data set")
    add_policy_options(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="safetensors file (beside the policy)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--stride",
        type=_positive,
        default=10,
        metavar="N",
        help="take every N-th frame of an episode (%(default)s)",
    )
    add_image_option(parser)
    parser.add_argument("--instruction-topic", metavar="TOPIC", help=f"({defaults.instruction})")
    parser.add_argument("--state-topic", metavar="TOPIC", help=f"({defaults.state})")
    parser.add_argument("--state-names", nargs="+", metavar="NAME", help="joints of the state (the policy's)")
    unit = BY_NAME["state_unit"]
    parser.add_argument("--state-unit", default=unit.default, choices=unit.choices, help="(%(default)s)")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


if __name__ == "__main__":
    sys.exit(main())
