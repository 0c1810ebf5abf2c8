# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The demo's course: play and record, explain with blur as well, draw, report."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vla_iss_ros import settings as all_settings
from vla_iss_ros.analysis import comparison
from vla_iss_ros.analysis.animation import animation
from vla_iss_ros.analysis.comparison import Curve, Style
from vla_iss_ros.analysis.episodes import ExplainedFrame, Summary, summarise
from vla_iss_ros.analysis.offline import explain_bag
from vla_iss_ros.analysis.recording import RecordedTopics, Recording, read_recording
from vla_iss_ros.bags.frames import BagTopics
from vla_iss_ros.cli.demo_plan import Plan, make_plan
from vla_iss_ros.cli.demo_report import Entry, last_line, table
from vla_iss_ros.cli.demo_session import NodeError, Process, Session, free_domains, tail
from vla_iss_ros.policies.loading import shipped_samples
from vla_iss_ros.render.files import write_atomically
from vla_iss_ros.render.pictures import save_animation, save_picture

POLICIES = ("clean", "shortcut")
# Just below the rate of /diagnostics, so that each explained frame is reported there with all its figures.
RATE = 0.95
# Twice the default: one episode a task is short, and the maps are looked at.
SAMPLES = 256
PLAY_SECONDS, QUICK_SECONDS = 45.0, 14.0
# The last frame is explained and reported within this time after the bag's end.
LAST_FRAME_SECONDS = 2.5
MARKER = "table.txt"


def record(plan: Plan, checkpoints: dict[str, Path], directory: Path, show: bool) -> dict[str, Path]:
    """Run the nodes of every policy, each in its own ROS domain, and return the recorded bags.

    Raises NodeError when a node ends early or never gets ready.
    """
    logs = directory / "logs"
    logs.mkdir()
    threads = max(1, (os.cpu_count() or 1) // len(checkpoints))
    bags = {name: directory / f"{name}_recording" for name in checkpoints}
    with ExitStack() as stack:
        domains = free_domains(len(checkpoints))
        sessions = [
            stack.enter_context(Session(name, domain, threads, logs))
            for name, domain in zip(checkpoints, domains, strict=True)
        ]
        recorders = [_start_recorder(session, bags[session.name]) for session in sessions]
        nodes = [_start_nodes(session, checkpoints[session.name]) for session in sessions]
        for session, started in zip(sessions, nodes, strict=True):
            for node in started:
                session.wait_until_configured(node)
        players = [session.start("bag_player", _player_arguments(plan)) for session in sessions]
        _wait_for_players(sessions, players, plan, show)
        for session, recorder in zip(sessions, recorders, strict=True):
            session.stop("output_recorder")
            if not (bags[session.name] / "metadata.yaml").is_file():
                raise recorder.error("has not written its bag")
    return bags


def _start_recorder(session: Session, bag: Path) -> Process:
    images = [f"{topic} sensor_msgs/msg/CompressedImage" for topic in BagTopics().images.values()]
    recorded = ", ".join(f"'{topic}'" for topic in ["/diagnostics", *images])
    return session.start("output_recorder", _parameters(bag=bag, topics=f"[{recorded}]"))


def _start_nodes(session: Session, checkpoint: Path) -> list[Process]:
    shared = _parameters(policy=f"builtin:{checkpoint}", use_sim_time="true") + _remappings(BagTopics())
    return [
        session.start("policy_node", shared),
        session.start("iss_node", shared + _parameters(max_rate=RATE, samples=SAMPLES)),
    ]


def _parameters(**values: Any) -> list[str]:
    return [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]


def _remappings(topics: BagTopics) -> list[str]:
    pairs = {f"~/input/{camera}/image": topic for camera, topic in topics.images.items()}
    pairs |= {f"~/input/{camera}/regions": topic for camera, topic in topics.labels.items()}
    pairs |= {"~/input/instruction": topics.instruction, "~/input/joint_states": topics.state}
    return [word for name, topic in pairs.items() for word in ("-r", f"{name}:={topic}")]


def _player_arguments(plan: Plan) -> list[str]:
    # The images have three subscribers: policy_node, iss_node and output_recorder.
    return _parameters(
        bag=plan.bag, rate=round(plan.rate, 5), episodes=list(plan.places), wait_for_subscribers=3
    )


def _wait_for_players(
    sessions: Sequence[Session], players: Sequence[Process], plan: Plan, show: bool
) -> None:
    """Wait for the bag's end, then for the last frame; raises NodeError when a node ends before."""
    length = round(plan.bag_seconds / plan.rate)
    with tqdm(total=length, unit="s", desc="playing", disable=None if show else True) as bar:
        started = time.monotonic()

        def finished() -> bool:
            bar.update(min(length, int(time.monotonic() - started)) - int(bar.n))
            for session in sessions:
                session.require_alive()
            return all(player.status == 0 for player in players)

        sessions[0].wait_until(finished, "the bag's end", length + 60)
    time.sleep(LAST_FRAME_SECONDS)
    for session in sessions:
        session.require_alive()


def explain_with_blur(
    plan: Plan, checkpoints: dict[str, Path], recordings: dict[str, Recording], show: bool
) -> dict[str, list[ExplainedFrame]]:
    """Explain the frames that the nodes explained once more, in this process, with the blur baseline."""
    total = sum(len(recording.explained) for recording in recordings.values())
    problems: dict[str, Counter[str]] = {name: Counter() for name in checkpoints}
    with tqdm(total=total, unit="frame", desc="blur baseline", disable=None if show else True) as bar:
        frames = {
            name: explain_bag(
                plan.bag,
                all_settings.check(
                    {"policy": f"builtin:{path}", "baseline": "blur", "samples": SAMPLES, "effects": False}
                ),
                {frame.stamp for frame in recordings[name].explained},
                plan.episodes,
                plan.names,
                bar.update,
                problems[name],
            )
            for name, path in checkpoints.items()
        }
    for name, counts in problems.items():
        for reason, count in counts.items():
            say(f"{name}, blur: {count} x {reason}", show)
    return frames


def make_pictures(
    recordings: dict[str, Recording],
    curves: Sequence[Curve],
    summaries: dict[str, Summary],
    cameras: Sequence[str],
    directory: Path,
) -> list[Path]:
    """Write contact sheet, chart and animation, and return their paths."""
    defaults = all_settings.check({})
    paths = [directory / "contact_sheet.png", directory / "nmr_chart.png", directory / "demo.gif"]
    shown = {name: recording.shown for name, recording in recordings.items()}
    scale = comparison.common_scale(shown)
    style = Style(defaults.overlay_alpha, defaults.colour_map, defaults.nmr_percent, scale)
    save_picture(comparison.sheet(shown, cameras, style), paths[0])
    write_atomically(paths[1], comparison.chart(curves, style.percent))
    save_animation(animation(shown, summaries, cameras, style), paths[2])
    return paths


def run(out: Path, quick: bool, seed: int, show: bool = True) -> str:
    """Run the demo into ``out`` and return its last line; raises NodeError and ValueError in clear words."""
    check_replaceable(out)
    samples = shipped_samples()
    checkpoints = {name: samples / "policies" / f"{name}.safetensors" for name in POLICIES}
    plan = make_plan(samples / "metaworld", QUICK_SECONDS if quick else PLAY_SECONDS)
    place = out.absolute()
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        line = _run_into(partial, out, plan, checkpoints, seed, show)
        replace(place, partial)
    except NodeError as error:
        failed = place.with_name(f"{place.name}.failed")
        shutil.rmtree(failed, ignore_errors=True)
        partial.rename(failed)
        raise NodeError(f"{error}\nlogs of all nodes are in {failed / 'logs'}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return line


def _run_into(
    partial: Path, out: Path, plan: Plan, checkpoints: dict[str, Path], seed: int, show: bool
) -> str:
    played = ", ".join(plan.names[place] for place in plan.places)
    say(
        f"playing {plan.bag_seconds:.1f} s of bag ({played}) at rate {plan.rate:.3f} "
        f"to the nodes of {len(checkpoints)} policies",
        show,
    )
    bags = record(plan, checkpoints, partial, show)
    topics = RecordedTopics(BagTopics().images)
    percent = all_settings.BY_NAME["nmr_percent"].default
    recordings = {
        name: read_recording(bag, topics, percent, plan.episodes, plan.names) for name, bag in bags.items()
    }
    for name, recording in recordings.items():
        if not recording.shown:
            raise NodeError(
                f"{name}: iss_node explained no frame; {tail(partial / 'logs' / f'{name}.iss_node.log')}"
            )
    blurred = explain_with_blur(plan, checkpoints, recordings, show)
    generator = np.random.default_rng(seed)
    summaries: dict[str, Summary] = {}
    curves = []
    for index, (name, recording) in enumerate(recordings.items()):
        summaries[name] = summarise(recording.explained, generator)
        curves.append(Curve(name, "donor", index, recording.explained, summaries[name]))
        curves.append(Curve(name, "blur", index, blurred[name], summarise(blurred[name], generator)))
    say("drawing", show)
    pictures = make_pictures(recordings, curves, summaries, list(topics.images), partial)
    text = table([Entry(curve.policy, curve.baseline, curve.summary) for curve in curves], percent)
    write_atomically(partial / MARKER, (text + "\n").encode())
    say(text, True)
    for path in [*pictures, *bags.values()]:
        say(str(out / path.relative_to(partial)), True)
    return last_line(summaries, percent, out)


def check_replaceable(out: Path) -> None:
    """Raise ValueError when ``out`` is anything but an earlier demo's directory, an empty one, or nothing."""
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / MARKER).is_file()):
        raise ValueError(
            f"'{out}' is not a demo's directory, so it is not replaced; choose another with --out"
        )


def replace(out: Path, finished: Path) -> None:
    """Give the finished directory its name; the old one goes only now."""
    check_replaceable(out)
    if out.exists():
        old = finished.with_name(f"{finished.name}.replaced")
        out.rename(old)
        finished.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    else:
        finished.rename(out)


def say(text: str, show: bool) -> None:
    """Print at once."""
    if show:
        print(text, flush=True)
