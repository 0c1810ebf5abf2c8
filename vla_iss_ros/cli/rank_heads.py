# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``rank_heads``: which attention heads of a policy the action passes through."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from vla_iss_ros import settings
from vla_iss_ros.analysis.head_ranking import RankedHead, as_csv, rank_heads
from vla_iss_ros.analysis.policy_frames import COUNT, frames_of_bag
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.cli.bag_topics import add_image_option, image_topics
from vla_iss_ros.cli.policy_options import add_policy_options
from vla_iss_ros.iss.heads import refuse_heads
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.permissions import Permissions
from vla_iss_ros.render.files import write_atomically
from vla_iss_ros.settings import BY_NAME

PROGRAM = "rank_heads"
METHOD = ("samples", "keep_probability", "estimator", "seed", "batch_size")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after one line on stderr when nothing could be ranked."""
    options = _parser().parse_args(arguments)
    problems: Counter[str] = Counter()
    try:
        if options.out is not None and not options.out.parent.is_dir():
            raise ValueError(f"--out must lie in a directory that is there, got '{options.out}'")
        # The grid is for pixels; exact is judged by it before anything is loaded.
        chosen = settings.check({"grid": 2, **{name: getattr(options, name) for name in METHOD}})
        policy = load_policy(options.policy, options.device, Permissions.of(options))
        refuse_heads(policy)
        frames = _frames(options, list(policy.spec.state_names), problems)
        with tqdm(total=len(frames), desc=PROGRAM, unit="frame", disable=None) as bar:
            ranked = rank_heads(policy, frames, chosen, lambda _: bar.update())
        if options.out is not None:
            write_atomically(options.out, as_csv(ranked).encode())
    except (BagError, ValueError, RuntimeError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    finally:
        for problem, count in sorted(problems.items()):
            print(f"{PROGRAM}: {problem}: {count}", file=sys.stderr)
    _show(ranked)
    where = "" if options.out is None else f"; wrote {options.out}"
    print(f"{PROGRAM}: {len(ranked)} heads of {options.policy} over {len(frames)} frames{where}")
    return 0


def _frames(options: argparse.Namespace, state_names: list[str], problems: Counter[str]) -> list[Observation]:
    topics = BagTopics(
        images=image_topics(options.image),
        labels={},
        state=options.state_topic,
        instruction=options.instruction_topic,
    )
    return frames_of_bag(
        options.bag,
        topics,
        problems,
        options.frames,
        state_names=options.state_names or state_names,
        state_unit=options.state_unit,
        instruction=options.instruction,
    )


def _show(ranked: Sequence[RankedHead]) -> None:
    width = max(len(each.head) for each in ranked)
    for place, each in enumerate(ranked, 1):
        print(
            f"{place:>3}. {each.head:<{width}}  contrast {each.contrast:.3g} +- {each.standard_error:.2g}"
            f"  ({each.share:.1%})"
        )


def _parser() -> argparse.ArgumentParser:
    defaults = BagTopics()
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Rank a policy's attention heads by ISS: random sets of heads give their mean outputs, and the "
        "change of the action tells which of them it passes through.",
    )
    parser.add_argument("bag", type=Path, help="rosbag2 directory")
    add_policy_options(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the ranking here, as CSV")
    parser.add_argument(
        "--frames",
        type=int,
        default=COUNT,
        metavar="N",
        help="frames, spread over the bag; 2 or more (%(default)s)",
    )
    for name in METHOD:
        setting = BY_NAME[name]
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(setting.default),
            default=setting.default,
            choices=setting.choices or None,
            help=f"{setting.description} (%(default)s)",
        )
    add_image_option(parser)
    parser.add_argument("--state-topic", default=defaults.state, metavar="TOPIC", help="(%(default)s)")
    parser.add_argument("--state-names", nargs="+", metavar="NAME", help="joints of the state (the policy's)")
    unit = BY_NAME["state_unit"]
    parser.add_argument("--state-unit", default=unit.default, choices=unit.choices, help="(%(default)s)")
    parser.add_argument(
        "--instruction-topic", default=defaults.instruction, metavar="TOPIC", help="(%(default)s)"
    )
    parser.add_argument("--instruction", default="", help="instruction where the bag has none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
