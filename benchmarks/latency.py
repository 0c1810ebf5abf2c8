# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How long a frame takes from its arrival to its overlay, and what iss_node takes from the policy's own node.

Real processes on real topics, two cameras at 640x480 (sensor_msgs/Image, rgb8). First one frame at a time goes to
iss_node at its default settings, but without its pauses: the time from the arrival of the frame's last image to the
last of its pictures, as the node measures it, minus the time in it that the policy itself ran for that frame. What is
left is decoding, drawing masks, mixing images, and what of the estimate, rendering and publishing does not fit beside
the policy's last runs, which measure effects. The same latency minus the runs that the picture needs, without those for
effects, is printed above it. Then frames go to policy_node at the cameras' rate, as
sensor_msgs/CompressedImage, in turn without and with an iss_node beside it at its default settings, and the period of
the action chunks is measured. Where policy_node alone does not get nearly all frames, the middleware sets the period
and not the computer: there is no ratio then. The same again with frames that come faster than policy_node can answer,
so that it wants a core to itself all the time: the most that iss_node takes from it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from live import Robot, arguments, stamp_of
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray

from vla_iss_ros.cli.demo_session import Session, free_domains

SIZE = (640, 480)
GOAL = 0.015
RATE = 30.0
FLOOD = 150.0  # Hz, more than policy_node answers
LEAST_ANSWERED = 0.9
INPUTS = {"image_transport": "raw", "image_reliability": "reliable"}
# What is left out on purpose so that others get the processor is no latency of the node's own work.
AT_ONCE = {"max_rate": 1000.0, "duty_cycle": 1.0, "batch_gap_ms": 0.0}
STAGES = (
    "decode",
    "prepare",
    "policy",
    "policy for the map",
    "policy until the map",
    "estimate",
    "publish",
)
NMR, PIPELINE = "/iss_node: NMR", "/iss_node: pipeline"


def measure_latency(frames: int, logs: Path, samples: int) -> list[float]:
    """Print where the time of a frame goes; return the seconds beyond the policy's runs, one for each frame."""
    (domain,) = free_domains(1)
    with Session("latency", domain, 1, logs) as session:
        node = session.start("iss_node", arguments(**INPUTS, samples=samples, **AT_ONCE))
        session.wait_until_configured(node)
        robot = Robot(domain, ["iss_node"], SIZE)
        seen: dict[int, float] = {}
        for camera in ("front", "wrist"):
            robot.listen(
                Image,
                f"/iss_node/output/{camera}/overlay",
                lambda message: seen.update({stamp_of(message): time.monotonic()}),
            )
        robot.until(lambda: robot.heard_by("iss_node"), "discovery of iss_node")
        for _ in range(3):
            robot.send()
            robot.serve(1.0)
        found = [one_frame(robot, seen) for _ in range(frames)]
        robot.close()
    for stage in (*STAGES, "latency", "sent to seen"):
        print(f"  {stage}: {1000 * statistics.median(times[stage] for times in found):.1f} ms")
    needed = [times["latency"] - times["policy for the map"] for times in found]
    print(f"  latency minus the forwards that the picture needs: {1000 * statistics.median(needed):.1f} ms")
    return [times["latency"] - times["policy until the map"] for times in found]


def one_frame(robot: Robot, seen: dict[int, float]) -> dict[str, float]:
    """Send one frame; return the seconds of its stages once diagnostics tell of it."""
    stamp = robot.send()
    wanted = "{}.{:09d}".format(*divmod(stamp, 1_000_000_000))
    robot.until(lambda: stamp in seen, "the overlay")
    robot.until(lambda: robot.statuses.get(NMR, {}).get("stamp (s)") == wanted, "the frame's diagnostics")
    values = robot.statuses[NMR]
    times = {stage: float(values[f"seconds {stage}"]) for stage in (*STAGES, "latency")}
    return {**times, "sent to seen": seen[stamp] - robot.sent[stamp]}


def measure_period(rounds: int, seconds: float, logs: Path) -> tuple[float, float]:
    """Print the periods of action chunks; return the mean with iss_node over that without.

    First of frames at ``RATE``, NaN where it is void, then of frames at ``FLOOD``.
    """
    inputs = {"image_transport": "compressed", "image_reliability": "reliable"}
    (domain,) = free_domains(1)
    with Session("period", domain, 1, logs) as session:
        session.wait_until_configured(session.start("policy_node", arguments(**inputs)))
        robot = Robot(domain, ["policy_node", "iss_node"])
        robot.until(lambda: robot.heard_by("policy_node"), "discovery of policy_node")
        periods = Periods(session, robot, inputs)
        for number in range(2 * rounds):
            # without, with, with, without: a drift of the machine weighs on both alike.
            periods.measure("with" if number % 4 in (1, 2) else "without", seconds)
        robot.close()
    return periods.ratio(RATE), periods.ratio(FLOOD)


class Periods:
    """Periods of policy_node's action chunks, by the rate of frames and by whether an iss_node runs beside it."""

    def __init__(self, session: Session, robot: Robot, inputs: dict[str, str]) -> None:
        self._session, self._robot, self._inputs = session, robot, inputs
        self._arrivals: list[float] = []
        self._found: dict[tuple[float, str], list[float]] = {}
        self._answered: dict[float, list[float]] = {RATE: [], FLOOD: []}
        robot.listen(
            Float32MultiArray,
            "/policy_node/output/action_chunk",
            lambda message: self._arrivals.append(time.monotonic()),
        )

    def measure(self, kind: str, seconds: float) -> None:
        """Send frames for ``seconds`` at both rates, ``kind`` with or without iss_node."""
        robot = self._robot
        if kind == "with":
            self._session.wait_until_configured(self._session.start("iss_node", arguments(**self._inputs)))
            robot.until(lambda: robot.heard_by("iss_node"), "discovery of iss_node")
        for rate in (RATE, FLOOD):
            robot.send_at(rate, 2.0)
            self._arrivals.clear()
            robot.send_at(rate, seconds)
            self._found.setdefault((rate, kind), []).extend(np.diff(self._arrivals))
            if kind == "without":
                self._answered[rate].append(len(self._arrivals) / round(rate * seconds))
        if kind == "with":
            done = robot.statuses.get(PIPELINE, {}).get("frames done", "0")
            print(f"  iss_node explained {done} frames in {2 * (seconds + 2):g} s")
            self._session.stop("iss_node")
            robot.statuses.clear()

    def ratio(self, rate: float) -> float:
        """Print what was found at ``rate``; return the mean period with over that without."""
        for kind in ("without", "with"):
            found = 1000 * np.array(self._found[rate, kind])
            print(
                f"  policy period at {rate:g} frames a second {kind} iss_node: mean {found.mean():.1f} ms, "
                f"p95 {np.percentile(found, 95):.1f} ms"
            )
        least, most = min(self._answered[rate]), max(self._answered[rate])
        print(f"  policy_node alone answered {least:.0%} of {rate:g} frames a second, in its worst round")
        if rate == RATE and least < LEAST_ANSWERED:
            print(
                f"  no ratio: below {LEAST_ANSWERED:.0%} the way of the images sets the period, not the policy"
            )
            return float("nan")
        if rate == FLOOD and most > LEAST_ANSWERED:
            print(f"  no ratio: above {LEAST_ANSWERED:.0%} the frames set the period, not the policy")
            return float("nan")
        return float(np.mean(self._found[rate, "with"]) / np.mean(self._found[rate, "without"]))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="12 frames and two rounds of 5 s")
    parser.add_argument("--samples", type=int, default=128, help="N (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs:
        rest = measure_latency(12 if options.quick else 60, Path(logs), options.samples)
        ratio, flooded = measure_period(2 if options.quick else 8, 5.0 if options.quick else 10.0, Path(logs))
    median, p95 = statistics.median(rest), float(np.percentile(rest, 95))
    print(f"policy period with / without iss_node, frames faster than the policy: {flooded:.2f}")
    print(f"goal: median below {1000 * GOAL:g} ms: {'met' if median < GOAL else 'missed'}")
    print(
        f"latency minus forwards: median {1000 * median:.1f} ms, p95 {1000 * p95:.1f} ms; "
        f"policy period with / without iss_node = {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
