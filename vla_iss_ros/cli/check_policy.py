# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Command line of ``check_policy``: what to know of a policy before its maps are believed."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vla_iss_ros.analysis.policy_check import TOLERANCE, check_policy
from vla_iss_ros.analysis.policy_frames import frames_of_bag, sample_frames, synthetic_frames
from vla_iss_ros.analysis.policy_subject import FAIL, PASS, Check
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.cli.bag_topics import add_image_option, image_topics
from vla_iss_ros.cli.policy_options import add_policy_options
from vla_iss_ros.iss.observation import Observation
from vla_iss_ros.policies.loading import load_policy
from vla_iss_ros.policies.permissions import Permissions
from vla_iss_ros.policies.protocol import Policy
from vla_iss_ros.settings import BY_NAME

PROGRAM = "check_policy"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 when a check fails, or 2 after one line on stderr when it cannot do its work."""
    options = _parser().parse_args(arguments)
    try:
        policy = load_policy(options.policy, options.device, Permissions.of(options))
        observations, source = _observations(options, policy)
        checks = check_policy(policy, observations, options.tolerance)
        print(f"{PROGRAM}: {options.policy} ({policy.spec.name}) on {len(observations)} {source}")
        failed = _show(checks)
        if options.json is not None:
            options.json.write_text(_as_json(options.policy, source, checks), encoding="utf-8")
    except (BagError, ValueError, RuntimeError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 1 if failed else 0


def _show(checks: Sequence[Check]) -> int:
    """Print one line a check, and what to do below it; return how many failed."""
    for check in checks:
        print(f"{check.status}  {check.name:<16}  {check.figure}")
        if check.remedy:
            print(f"      {'':<16}  -> {check.remedy}")
    failed = [check.name for check in checks if check.status == FAIL]
    passed = sum(check.status == PASS for check in checks)
    print(f"{PROGRAM}: {passed} passed, {len(failed)} failed")
    return len(failed)


def _observations(options: argparse.Namespace, policy: Policy) -> tuple[list[Observation], str]:
    """Return what to check on, and what it is in words."""
    if options.bag is None:
        frames = [] if options.synthetic else sample_frames(policy)
        if frames:
            return frames, "frames of the sample bag"
        return synthetic_frames(policy), "synthetic frames"
    topics = BagTopics(
        images=image_topics(options.image),
        labels={},
        state=options.state_topic,
        instruction=options.instruction_topic,
    )
    problems: Counter[str] = Counter()
    frames = frames_of_bag(
        options.bag,
        topics,
        problems,
        state_names=options.state_names or list(BY_NAME["state_names"].default),
        state_unit=options.state_unit,
        instruction=options.instruction,
    )
    for problem, count in sorted(problems.items()):
        print(f"{PROGRAM}: {problem}: {count}", file=sys.stderr)
    return frames, f"frames of {options.bag}"


def _as_json(policy: str, source: str, checks: Sequence[Check]) -> str:
    rows = [
        {
            "name": check.name,
            "status": check.status,
            "figure": check.figure,
            "remedy": check.remedy,
            "values": {name: value if math.isfinite(value) else None for name, value in check.values.items()},
        }
        for check in checks
    ]
    return json.dumps({"policy": policy, "source": source, "checks": rows}, indent=1) + "\n"


def _parser() -> argparse.ArgumentParser:
    defaults = BagTopics()
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Check a policy before its saliency maps are believed."
    )
    add_policy_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help="largest difference of normalised actions that counts as none (%(default)s)",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--bag",
        type=Path,
        metavar="BAG",
        help="rosbag2 with the robot's topics (default: the sample bag where it fits, else synthetic frames)",
    )
    source.add_argument("--synthetic", action="store_true", help="check on made-up frames")
    add_image_option(parser)
    parser.add_argument("--state-topic", default=defaults.state, metavar="TOPIC", help="(%(default)s)")
    parser.add_argument(
        "--state-names", nargs="+", metavar="NAME", help="joints of the state; default as of the parameter"
    )
    parser.add_argument("--state-unit", default="rad", choices=("rad", "deg"), help="(%(default)s)")
    parser.add_argument(
        "--instruction-topic", default=defaults.instruction, metavar="TOPIC", help="(%(default)s)"
    )
    parser.add_argument("--instruction", default="", help="instruction where the bag has none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
