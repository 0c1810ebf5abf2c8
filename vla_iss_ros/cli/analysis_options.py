# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Options that say what to analyse and how, shared by the commands that analyse recordings."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vla_iss_ros.analysis.bag_analysis import Order
from vla_iss_ros.bags.bag_source import BagSource
from vla_iss_ros.bags.errors import BagError
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.bags.lerobot_layout import is_dataset
from vla_iss_ros.bags.reader import Bag
from vla_iss_ros.bags.source import Source, UnusableSource
from vla_iss_ros.bags.topic_guess import check_topics, guess_labels, guess_topics, topics_in_words
from vla_iss_ros.cli.bag_topics import image_topics
from vla_iss_ros.cli.contract_topics import read_contract_topics
from vla_iss_ros.cli.dataset_options import dataset_source
from vla_iss_ros.cli.parameter_file import read_parameters, topic_of_each_camera
from vla_iss_ros.cli.region_options import Regions, check_files, read_regions
from vla_iss_ros.regions.polygons import OBJECT_NAMES, ROBOT_NAMES
from vla_iss_ros.settings import BY_NAME, METHOD, check
from vla_iss_ros.settings.setting import Setting

PERMISSIONS = ("allow_pickle", "allow_remote_code", "allow_unshared_noise")
OPTIONS = (
    "device",
    "contract",
    "donors",
    "state_names",
    "state_unit",
    "instruction",
    "missing_camera",
    "missing_camera_after",
    "actor_labels",
    "support_labels",
)


def add_analysis_options(parser: argparse.ArgumentParser, *, several_policies: bool = False) -> None:
    """Add the recordings, the policy (or ``several_policies``, each with an option of its own), topics and settings."""
    parser.add_argument(
        "bags",
        nargs="+",
        type=Path,
        metavar="BAG",
        help="rosbag2 directory, .mcap or .db3 file; or directory of a LeRobot data set",
    )
    policy: dict[str, Any] = {"action": "append", "required": True} if several_policies else {}
    parser.add_argument("--policy", metavar="TYPE[:PATH]", help="policy to explain (builtin)", **policy)
    parser.add_argument(
        "--params",
        type=Path,
        metavar="FILE",
        help="parameter file of the nodes, as config/iss.yaml; may hold image_topics, region_topics, "
        "instruction_topic, state_topic and episode_topic; options win over it",
    )
    parser.add_argument("--cameras", nargs="+", metavar="NAME", help="the policy's cameras")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="CAMERA=TOPIC",
        help="image topic (or feature of a data set), once for each camera",
    )
    for name, what in (
        ("state", "JointState"),
        ("instruction", "String"),
        ("episode", "String, marks starts"),
    ):
        parser.add_argument(f"--{name}-topic", metavar="TOPIC", help=f"{name} ({what}); empty: none")
    _add_regions(parser)
    parser.add_argument(
        "--gap",
        type=float,
        default=1.0,
        help="pause that starts an episode without a marker, of the first camera or, with --missing-camera hold or "
        "blank, of all, s (%(default)s)",
    )
    parser.add_argument(
        "--stride",
        type=int,
        default=1,
        metavar="N",
        help="explain every N-th frame, interpolate between them (%(default)s: every frame)",
    )
    group = parser.add_argument_group("settings", "as the parameters of iss_node; see config/iss.yaml")
    for setting in [*METHOD, *(BY_NAME[name] for name in (*OPTIONS, *PERMISSIONS))]:
        _add_setting(group, setting)


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)


def order_of(
    options: argparse.Namespace, say: Callable[[str], object], warn: Callable[[str], object] = _warn
) -> Order:
    """Return what the options ask for; ``say`` hears which topics and regions are used, ``warn`` of doubtful ones.

    Raises ValueError or BagError in one line for what cannot be used.
    """
    values, topics = read_parameters(options.params) if options.params else ({}, {})
    for name in ("policy", "cameras", *(setting.name for setting in METHOD), *OPTIONS, *PERMISSIONS):
        given = getattr(options, name)
        if given is not None:
            values[name] = given
    if values.get("contract"):
        cameras = list(check(values).cameras)
        contracted, named = read_contract_topics(Path(values["contract"]).expanduser(), cameras)
        values, topics = {**values, **contracted}, {**topics, **named}
    settings = check(values)
    regions = read_regions(options.regions, settings, options.robot_names, options.object_names)
    # Heard of when all else can be used: an error is one line.
    doubts: list[str] = []
    in_files = check_files(regions.files, settings, say, doubts.append) if regions.files else None
    sources = [
        _source(path, name, options, topics, settings, regions, say)
        for path, name in zip(options.bags, unique_names(options.bags), strict=True)
    ]
    if not regions.declined:
        doubts += _without_regions(sources, in_files)
    for line in doubts:
        warn(line)
    return Order(sources, {name: getattr(settings, name) for name in BY_NAME}, regions.files, options.stride)


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each recording, fit for a file: its own, numbered where several have it."""
    return told_apart([re.sub(r"[^\w-]+", "_", path.resolve().stem) or "bag" for path in paths], "_")


def told_apart(names: Sequence[str], separator: str) -> list[str]:
    """Return ``names``, numbered after ``separator`` where several are the same."""
    counts, taken = Counter(names), set(names)
    unique = []
    for name in names:
        if counts[name] > 1:
            numbered = (f"{name}{separator}{number}" for number in itertools.count(1))
            name = next(each for each in numbered if each not in taken)
            taken.add(name)
        unique.append(name)
    return unique


def _without_regions(sources: Sequence[Source], in_files: Sequence[str] | None) -> list[str]:
    """Return a line for each set of cameras that have no regions in recordings; ``in_files``: those that files have."""
    recordings: dict[tuple[str, ...], list[str]] = {}
    for source in sources:
        if isinstance(source, UnusableSource):
            continue
        has = in_files
        if has is None:
            has = list(source.topics.labels) if isinstance(source, BagSource) else []
        missing = tuple(camera for camera in source.cameras if camera not in has)
        if missing:
            recordings.setdefault(missing, []).append(source.name)
    return [
        f"no regions of {', '.join(cameras)} in {names[0]}{f' and {len(names) - 1} others' if names[1:] else ''}: "
        "NMR is undefined; give --regions, or --regions none"
        for cameras, names in recordings.items()
    ]


def _source(
    path: Path,
    name: str,
    options: argparse.Namespace,
    topics: Mapping[str, str],
    settings: Any,
    regions: Regions,
    say: Callable[[str], object],
) -> Source:
    if is_dataset(path):
        if regions.topics:
            raise ValueError(f"--regions names topics, and the data set '{path}' has none; give files")
        if settings.missing_camera != "wait":
            say(f"{path}: --missing-camera {settings.missing_camera} applies to bags only")
        unit, instruction = settings.state_unit, settings.instruction
        names, cameras = settings.state_names, settings.cameras
        try:
            return dataset_source(
                path, name, options, cameras, names, say, state_unit=unit, instruction=instruction
            )
        except BagError as error:
            return _unusable(path, name, cameras, error, options)
    try:
        with Bag(path) as bag:
            chosen = dataclasses.replace(_topics(bag, options, topics, settings), **regions.chosen_topics())
            check_topics(bag, chosen, images=bool(options.image) or "image_topics" in topics)
            advice = bag.advice
    except BagError as error:
        return _unusable(path, name, settings.cameras, error, options)
    say(f"{path}: {', '.join(topics_in_words(chosen))}")
    if advice:
        say(f"{path}: {advice}")
    return BagSource.of(name, path, chosen, settings, options.gap)


def _unusable(
    path: Path, name: str, cameras: Sequence[str], error: BagError, options: argparse.Namespace
) -> UnusableSource:
    """Return a source that the analysis skips and names; raises ``error`` where there is no other recording."""
    if len(options.bags) == 1:
        raise error
    return UnusableSource(name, path, tuple(cameras), str(error))


def _topics(bag: Bag, options: argparse.Namespace, topics: Mapping[str, str], settings: Any) -> BagTopics:
    """Return the bag's topics: from the options, else the parameter file, else guessed."""
    cameras = list(settings.cameras)
    images: Mapping[str, str] = {}
    if options.image:
        images = image_topics(options.image)
    elif "image_topics" in topics:
        images = topic_of_each_camera("image_topics", topics["image_topics"], cameras)
    guessed = guess_topics(bag, [] if images else cameras, settings.state_names)
    labels = guess_labels(bag, cameras)
    if "region_topics" in topics:
        labels = topic_of_each_camera("region_topics", topics["region_topics"], cameras)
    chosen = {}
    for kind in ("state", "instruction", "episode"):
        option = getattr(options, f"{kind}_topic")
        named = option if option is not None else topics.get(f"{kind}_topic")
        chosen[kind] = getattr(guessed, kind) if named is None else named
    missing = [camera for camera in cameras if camera not in (images or guessed.images)]
    if missing:
        raise ValueError(
            f"--image names no topic of camera '{missing[0]}'; the cameras are {', '.join(cameras)}"
        )
    images = images or guessed.images
    return BagTopics({camera: images[camera] for camera in cameras}, labels, **chosen)


def _add_regions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--regions",
        action="append",
        default=[],
        metavar="WHERE",
        help="where label images come from: CAMERA=TOPIC, CAMERA=FILE (PNG, or LabelMe JSON) or CAMERA=DIR (such "
        "files named by their stamps in ns), once for each camera; or DIR with CAMERA.png, CAMERA.json or CAMERA/; "
        "or a COCO JSON file; or none (default: label topics of the bag)",
    )
    for option, names, what in (
        ("--robot-names", ROBOT_NAMES, "the robot"),
        ("--object-names", OBJECT_NAMES, "the task's objects or carry them"),
    ):
        said = f"classes of polygon annotations that are {what} ({' '.join(names)})"
        parser.add_argument(option, nargs="+", default=names, metavar="NAME", help=said)


def _add_setting(group: argparse._ArgumentGroup, setting: Setting) -> None:
    option, kind = f"--{setting.name.replace('_', '-')}", type(setting.default)
    help_text = f"{setting.description} ({setting.default})".replace("%", "%%")
    if kind is bool:
        group.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=help_text)
    elif kind is list:
        item = type(setting.default[0])
        group.add_argument(option, nargs="+", type=item, help=help_text)
    else:
        group.add_argument(option, type=kind, choices=setting.choices or None, help=help_text)
